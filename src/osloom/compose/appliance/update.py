"""What systemd-sysupdate of a device replaces, sysupdate.d(5): hashes, root, and last the UKI.

The UKI is what makes a version bootable, so it is written when all else is there.
"""

from collections.abc import Mapping

from osloom.model.appliance import Appliance

DIRECTORY = "usr/lib/sysupdate.d"


def escaped(address: str) -> str:
    """As systemd.unit(5) and sysupdate.d(5) have it, where `%` begins a specifier."""
    return address.replace("%", "%%")


def transfers(appliance: Appliance) -> Mapping[str, str]:
    """Transfer files, by name; none where the definition says no address."""
    update = appliance.update
    if update.url is None:
        return {}
    name = appliance.id
    partition = f"""\
Type=partition
Path=auto
MatchPattern={name}_@v
PartitionFlags=0
ReadOnly=yes
"""
    return {
        "10-hashes.transfer": _transfer(
            update.url,
            f"{name}_@v_@u.verity",
            f"{partition}MatchPartitionType={appliance.hash_type}\n",
        ),
        "20-root.transfer": _transfer(
            update.url,
            f"{name}_@v_@u.root",
            f"{partition}MatchPartitionType={appliance.root_type}\n",
        ),
        "90-uki.transfer": _transfer(
            update.url,
            f"{name}_@v.efi",
            f"""\
Type=regular-file
Path=/EFI/Linux
PathRelativeTo=esp
MatchPattern={name}_@v+@l-@d.efi {name}_@v+@l.efi {name}_@v.efi
Mode=0444
TriesLeft={update.tries}
TriesDone=0
""",
        ),
    }


def _transfer(url: str, pattern: str, target: str) -> str:
    # `%A` is the version that runs: it is never what makes room.
    return f"""\
[Transfer]
ProtectVersion=%A
Verify=yes

[Source]
Type=url-file
Path={escaped(url)}
MatchPattern={pattern}

[Target]
{target}InstancesMax=2
"""
