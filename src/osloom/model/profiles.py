"""The entries that one UKI has in a boot menu: profiles, which share its kernel and initrd.

A section `.profile` begins each. What lies before the first is of all of them; what follows one is
of it alone, and stands in the place of what they share. UAPI Unified Kernel Image ("Multi-Profile
UKIs"), systemd-boot(7), systemd-stub(7).
"""

from osloom.base.errors import Error
from osloom.model.pe import Program
from osloom.model.pe_section import add_sections

MAIN = b"ID=main\n"
"""The section `.profile` of what starts by itself."""
RESET_OPTION = "osloom.factory-reset"
"""The word of the kernel's command line by which the initrd knows that the entry was chosen, and
the name of the credential that asks for the same."""
_RESET = b"ID=factory-reset\nTITLE=factory reset: erases all data\n"


def with_reset_entry(image: bytes, program: Program) -> bytes:
    """The UKI `image`, which is not signed, with an entry more: a factory reset.

    `program` is what it holds. Raises Error where the headers have no room.
    """
    release, line = program.text(".osrel"), program.text(".cmdline")
    names = program.release()
    key = names.get("IMAGE_ID") or names.get("ID")
    if key is None:
        raise Error("cannot give the UKI an entry for a factory reset: it names no system")
    # systemd-boot starts the first entry by itself. Version 257 forgets which profile an entry is
    # of while it counts a version's boots, and puts the last one first: sorted by another name,
    # this one is behind every system.
    sorted_last = f"{release}\nIMAGE_ID={key}-factory-reset\n"
    return add_sections(
        image,
        [
            (".profile", MAIN),
            (".profile", _RESET),
            (".osrel", sorted_last.encode()),
            (".cmdline", f"{line} {RESET_OPTION}".encode()),
        ],
    )
