"""How the signature of a version's root hash comes into its slot: with the hashes and the root.

Disks keep the partitions that they were made with: on one without partitions for signatures the
rest of a version is taken alone.
"""

from collections.abc import Mapping

from osloom.compose.appliance.update import escaped
from osloom.model.appliance import Appliance
from osloom.model.gpt import TYPES

_TRANSFER = "15-signature.transfer"


def signature_files(appliance: Appliance) -> Mapping[str, str]:
    """A transfer file and a drop-in, by their paths in the image; none where nothing is signed."""
    update = appliance.update
    if update.url is None or not appliance.signed:
        return {}
    (identity,) = (one for one, name in TYPES.items() if name == appliance.signature_type)
    return {
        f"usr/lib/sysupdate.d/{_TRANSFER}": f"""\
[Transfer]
ProtectVersion=%A
Verify=yes

[Source]
Type=url-file
Path={escaped(update.url)}
MatchPattern={appliance.id}_@v.verity-sig

[Target]
Type=partition
Path=auto
MatchPattern={appliance.id}_@v
MatchPartitionType={appliance.signature_type}
PartitionFlags=0
ReadOnly=yes
InstancesMax=2
""",
        "usr/lib/systemd/system/osloom-update.service.d/signature.conf": (
            f"[Service]\nExecStartPre=/usr/lib/osloom/skip-signature {identity} {_TRANSFER}\n"
        ),
    }
