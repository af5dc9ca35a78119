"""Extensions that a device takes from the channel: each a component of systemd-sysupdate, merged by
systemd-sysext and systemd-confext. sysupdate.d(5), systemd.v(7), systemd-sysext(8)

A version is its root hash and its image, and the image comes last: it is never there without what
it is verified by.
"""

from collections.abc import Mapping, Sequence
from itertools import count

from osloom.compose.appliance.update import escaped
from osloom.model.appliance import Appliance
from osloom.model.extension import DIRECTORIES
from osloom.model.fetched import Fetched

_SYSTEM = "usr/lib/systemd/system"
_SIGNED = "--image-policy=root=signed:=ignore"
"""Of systemd.image-policy(7): what nobody has signed is not merged."""


def extension_files(appliance: Appliance) -> Mapping[str, str]:
    """Transfer files, directories and units, by their paths in the image; none for no extensions."""
    if not appliance.extensions:
        return {}
    made = {
        f"usr/lib/sysupdate.{one.name}.d/{name}": text
        for one in appliance.extensions
        for name, text in _transfers(one).items()
    }
    made["usr/lib/tmpfiles.d/osloom-extensions.conf"] = "".join(
        f"d {_directory(one.name, kind)} 0755 root root -\n"
        for one in appliance.extensions
        for kind in one.kinds
    )
    made |= {f"{_SYSTEM}/{name}": text for name, text in _units(appliance).items()}
    return made


def extension_links(appliance: Appliance) -> Mapping[str, str]:
    """Symbolic links that enable units, and where they point."""
    if not appliance.extensions:
        return {}
    units = {
        f"{target}.target.wants/{unit}": unit
        for target, unit in (
            ("sysinit", "systemd-sysext.service"),
            ("sysinit", "systemd-confext.service"),
            ("multi-user", "osloom-extensions.service"),
        )
    }
    units |= {
        f"timers.target.wants/osloom-update@{one.name}.timer": "osloom-update@.timer"
        for one in appliance.extensions
    }
    return {f"{_SYSTEM}/{place}": f"../{unit}" for place, unit in units.items()}


def levels(extensions: Sequence[Fetched]) -> Mapping[str, str]:
    """What os-release(5) of the system has to say for them to be merged."""
    return {
        f"{kind.upper()}_LEVEL": one.level
        for one in extensions
        if one.level is not None
        for kind in one.kinds
    }


def _directory(name: str, kind: str) -> str:
    return f"/var/lib/{DIRECTORIES[kind]}/{name}.{kind}.raw.v"


def _transfers(one: Fetched) -> Mapping[str, str]:
    numbers = count(10, 10)
    return {
        f"{next(numbers)}-{kind}-{what}.transfer": f"""\
[Transfer]
Verify=yes

[Source]
Type=url-file
Path={escaped(one.url)}
MatchPattern={one.id}_@v.{kind}.{suffix}

[Target]
Type=regular-file
Path={_directory(one.name, kind)}
MatchPattern={one.name}_@v.{kind}.{suffix}
Mode=0444
InstancesMax=2
"""
        for kind in one.kinds
        for what, suffix in (("roothash", "roothash"), ("image", "raw"))
    }


def _units(appliance: Appliance) -> Mapping[str, str]:
    update = appliance.update
    policy = f" {_SIGNED}" if appliance.signed else ""
    merge = f"/usr/lib/osloom/extensions{policy}"
    made = {
        "osloom-update@.service": f"""\
[Unit]
Description=Fetch a newer version of the extension %i
Documentation=man:systemd-sysupdate(8)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStartPre=/usr/lib/osloom/protect-extension %i
ExecStart=/usr/lib/systemd/systemd-sysupdate --component=%i update
ExecStart={merge}
TimeoutStartSec=6h
Nice=10
IOSchedulingClass=idle
""",
        "osloom-update@.timer": f"""\
[Unit]
Description=Look for a newer version of the extension %i

[Timer]
OnBootSec=5min
OnUnitInactiveSec={update.interval}
RandomizedDelaySec={update.random_delay}
""",
        "osloom-extensions.service": f"""\
[Unit]
Description=Merge the versions of extensions that fit this system
Documentation=man:systemd-sysext(8)
After=systemd-sysext.service systemd-confext.service
ConditionPathExistsGlob=|/var/lib/extensions/*.v/*.raw
ConditionPathExistsGlob=|/var/lib/confexts/*.v/*.raw

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={merge}
""",
    }
    for kind in DIRECTORIES:
        # An extension that cannot be merged is no failure of the system, on trial or not.
        made[f"systemd-{kind}.service.d/osloom.conf"] = f"""\
[Service]
ExecStart=
ExecStart=systemd-{kind} refresh{policy}
ExecReload=
ExecReload=systemd-{kind} refresh{policy}
SuccessExitStatus=1
"""
    return made
