"""What a NixOS system has to mount to be an appliance, as its fstab(5) says it."""

from collections.abc import Iterator

from osloom.model.appliance import DATA, Appliance

_DATA_DEVICES = (f"/dev/disk/by-partlabel/{DATA}", f"PARTLABEL={DATA}")
_OWN = ("/etc", "/nix", "/nix/store")
"""What the appliance's initrd mounts itself."""


def mistakes(fstab: str, appliance: Appliance) -> Iterator[tuple[str, str]]:
    """What the system mounts otherwise than an appliance of NixOS has it, and the mend."""
    lines = [line.partition("#")[0].split() for line in fstab.splitlines()]
    mounts = {words[1]: words for words in lines if len(words) >= 3}
    root = mounts.get("/")
    if root is None or root[2] != "tmpfs":
        kind = root[2] if root else "nothing"
        said = f"it mounts / as {kind}, and an appliance has its root in memory"
        yield said, _set("/", 'fsType = "tmpfs"; options = [ "mode=0755" ];')
    var, kind = mounts.get("/var"), appliance.disk.data.filesystem
    if var is None or var[0] not in (*_DATA_DEVICES, f"PARTUUID={appliance.data_id}"):
        said = "it does not mount the data partition at /var"
        yield said, _set("/var", f'device = "{_DATA_DEVICES[0]}"; fsType = "{kind}";')
    elif var[2] not in (kind, "auto"):
        said = f"it mounts /var as {var[2]}, and the data partition is {kind}"
        yield said, f'set `fileSystems."/var".fsType = "{kind}"` in its configuration'
    for place in _OWN:
        if place in mounts:
            mend = "system.etc.overlay.enable" if place == "/etc" else f'fileSystems."{place}"'
            said = f"it mounts {place} itself, which the appliance does"
            yield said, f"leave `{mend}` out of its configuration"


def _set(place: str, settings: str) -> str:
    return f'set `fileSystems."{place}" = {{ {settings} }}` in its configuration'
