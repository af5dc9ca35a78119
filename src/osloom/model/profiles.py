"""The entries that one UKI has in a boot menu: profiles, which share its kernel and initrd.

A section `.profile` begins each. What lies before the first is of all of them; what follows one is
of it alone, and stands in the place of what they share. UAPI Unified Kernel Image ("Multi-Profile
UKIs"), systemd-boot(7), systemd-stub(7).
"""

from osloom.base.errors import Error
from osloom.model.pe import Program

MAIN = b"ID=main\n"
"""The section `.profile` of what starts by itself."""
RESET_OPTION = "osloom.factory-reset"
"""The word of the kernel's command line by which the initrd knows that the entry was chosen, and
the name of the credential that asks for the same."""
_RESET = b"ID=factory-reset\nTITLE=factory reset: erases all data\n"


def reset_entry(program: Program) -> list[tuple[str, bytes]]:
    """The sections that give the UKI `program` an entry more: a factory reset. Raises Error."""
    release, line = program.text(".osrel"), program.text(".cmdline")
    names = program.release()
    key = names.get("IMAGE_ID") or names.get("ID")
    if key is None:
        raise Error("cannot give the UKI an entry for a factory reset: it names no system")
    # systemd-boot starts the first entry by itself. Version 257 forgets which profile an entry is
    # of while it counts a version's boots, and puts the last one first: sorted by another name,
    # this one is behind every system.
    sorted_last = f"{release}\nIMAGE_ID={key}-factory-reset\n"
    return [
        (".profile", MAIN),
        (".profile", _RESET),
        (".osrel", sorted_last.encode()),
        (".cmdline", f"{line} {RESET_OPTION}".encode()),
    ]
