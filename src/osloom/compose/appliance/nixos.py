"""The root of an appliance that is a NixOS system: its store, and what osloom adds to it.

The device's own root is in memory, as NixOS wants to write to it when it activates; the initrd makes
it (`assemble.appliance.nixos`). This tree is what is verified: it lies at /nix/image there, its store
at /nix/store, and /etc is its own with what the device has changed over it. NixOS looks for units
and settings in /etc and not in /usr; /etc/systemd/system.attached is looked at after the system's
own units, systemd.unit(5).
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.appliance import units, update
from osloom.compose.appliance.root import files
from osloom.compose.appliance.signature import signature_files
from osloom.engine.step import Job, Output, Step, action
from osloom.model.appliance import NIX_IMAGE, Appliance, manager_settings
from osloom.model.bootspec import FIRST
from osloom.model.closure import STORE
from osloom.model.emergency import emergency_units
from osloom.model.nixos_mounts import mistakes
from osloom.model.tree import Node, Tree, with_parents

ATTACHED = "etc/systemd/system.attached"
_UNITS = "usr/lib/systemd/system/"
_SETTINGS = "usr/lib/systemd/system.conf.d/"
_LIBRARY = "osloom"
"""In the image; nothing of it comes into the device's own root."""
_PROGRAMS = ("usr/lib/osloom/", "usr/bin/")
_SYSTEM = "/run/current-system"
_KEYRING = "etc/systemd/import-pubring.gpg"
_BEGIN = Path(__file__).parent / "data/nixos/begin.sh"
_PLACES = {
    "/usr/lib/osloom/": f"/{NIX_IMAGE}/{_LIBRARY}/",
    "/usr/lib/systemd/systemd-": f"{_SYSTEM}/systemd/lib/systemd/systemd-",
    "/usr/lib/sysupdate.d/": "/etc/sysupdate.d/",
}
"""What is elsewhere on NixOS, in programs and units."""
_IN_UNITS = {
    "=touch ": f"={_SYSTEM}/sw/bin/touch ",
    "=systemctl ": f"={_SYSTEM}/systemd/bin/systemctl ",
    "[Service]\n": f"[Service]\nEnvironment=PATH=/run/wrappers/bin:{_SYSTEM}/sw/bin\n",
}
_BROUGHT = {
    "boot-complete.target": """\
[Unit]
Description=A boot that is good
Requires=sysinit.target
After=sysinit.target
""",
    "factory-reset.target": "[Unit]\nDescription=Reset to the factory's state\n",
    "systemd-bless-boot.service": """\
[Unit]
Description=Mark this boot as good
DefaultDependencies=no
Requires=boot-complete.target
After=local-fs.target boot-complete.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-bless-boot good
""",
    "systemd-boot-check-no-failures.service": """\
[Unit]
Description=Check that no unit has failed
After=default.target graphical.target multi-user.target
Before=boot-complete.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-boot-check-no-failures
""",
}
"""Units of systemd that NixOS does not take over, as systemd has them."""


def _own_units(appliance: Appliance) -> Mapping[str, str]:
    """Units that only an appliance of NixOS has."""
    return {
        "osloom-begin.service": f"""\
[Unit]
Description=Say which version of the image runs
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/lib/osloom/begin {appliance.id} {appliance.version}
""",
        # systemd-gpt-auto-generator(8) does not find it where nothing is mounted at / or /usr.
        "efi.mount": f"""\
[Unit]
Description=EFI system partition

[Mount]
What=/dev/disk/by-partuuid/{appliance.partition_id("/esp")}
Where=/efi
Type=vfat
Options=umask=0077,rw,nodev,nosuid,noexec,nosymfollow
""",
        "efi.automount": """\
[Unit]
Description=EFI system partition, when somebody looks at it

[Automount]
Where=/efi
TimeoutIdleSec=2min
""",
    }


_WANTED = ("sysinit.target.wants/osloom-begin.service", "local-fs.target.wants/efi.automount")


@action(version=1)
def arrange_nixos(job: Job) -> Mapping[str, Digest]:
    """The NixOS system `tree` as the root of the appliance `appliance`; `keyring` signs its updates."""
    appliance = msgspec.convert(job.parameters["appliance"], Appliance)
    blobs = job.store.blobs
    tree = job.tree()
    _check(tree, appliance)
    node = tree.get(tree.resolve(f"{FIRST}/etc/fstab"))
    fstab = blobs.read(node.digest).decode(errors="replace") if node and node.digest else ""
    for message, hint in mistakes(fstab, appliance):
        raise BuildError(f"cannot make an appliance of the NixOS system: {message}", hint=hint)
    texts = {
        **{_moved(path): text for path, text in manager_settings(appliance).items()},
        **{
            f"{ATTACHED}/{name}": _on_nixos(text)
            for name, text in {**_BROUGHT, **_own_units(appliance)}.items()
        },
        **{
            _moved(path): _on_nixos(text)
            for path, text in {
                **units.units(appliance),
                **emergency_units(),
                **signature_files(appliance),
            }.items()
        },
        **{
            _moved(f"{update.DIRECTORY}/{name}"): text
            for name, text in update.transfers(appliance).items()
        },
    }
    added = files(texts, blobs, epoch=appliance.epoch)
    executable = {**job.parameters["programs"], **units.health_scripts(appliance)}
    moved = {_moved(path): _replaced(text, _PLACES) for path, text in executable.items()}
    added |= files(moved, blobs, epoch=appliance.epoch, mode=0o755)
    links = {_moved(path): target for path, target in units.wanted(appliance).items()}
    links |= {f"{ATTACHED}/{place}": f"../{place.rpartition('/')[2]}" for place in _WANTED}
    for path, target in links.items():
        added[path] = Node("symlink", 0o777, mtime=appliance.epoch, target=target)
    if "keyring" in job.inputs:
        digest = job.digest("keyring")
        size = blobs.path(digest).stat().st_size
        added[_KEYRING] = Node("file", 0o644, mtime=appliance.epoch, size=size, digest=digest)
    # Nix makes it before it looks at anything.
    added[f"{STORE[1:]}/.links"] = Node("dir", 0o755, mtime=appliance.epoch)
    made = tree.overlaid(with_parents(added, mtime=appliance.epoch))
    return {"tree": job.store.add_tree(made)}


def _on_nixos(unit: str) -> str:
    """A unit of an appliance, with programs where a NixOS appliance has them."""
    return _replaced(unit, {**_PLACES, **_IN_UNITS})


def _replaced(text: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        text = text.replace(old, new)
    return text


def _moved(path: str) -> str:
    """Where in the image a program is, a unit or a setting."""
    if path.startswith(update.DIRECTORY):
        return "etc/" + path.removeprefix("usr/lib/")
    for start in _PROGRAMS:
        if path.startswith(start):
            return f"{_LIBRARY}/" + path.removeprefix(start)
    if path.startswith(_SETTINGS):
        return "etc/systemd/system.conf.d/" + path.removeprefix(_SETTINGS)
    return f"{ATTACHED}/" + path.removeprefix(_UNITS)


def _check(tree: Tree, appliance: Appliance) -> None:
    """Raises BuildError where the system has not what an appliance needs of it."""
    needed = ["systemd-bless-boot"]
    if appliance.update.url is not None:
        needed.append("systemd-sysupdate")
    for name in needed:
        if tree.resolve(f"{FIRST}/systemd/lib/systemd/{name}") not in tree:
            mend = "set `systemd.package = pkgs.systemd` in its configuration, which is whole"
            raise _lacks(appliance, name, mend)
    if appliance.update.url is not None and not any(one.endswith("/bin/gpg") for one in tree):
        mend = "add `pkgs.gnupg` to `environment.systemPackages` in its configuration"
        raise _lacks(appliance, "gpg", mend)


def _lacks(appliance: Appliance, what: str, hint: str) -> BuildError:
    return BuildError(
        f"cannot make an appliance of {appliance.id}: its NixOS system has no `{what}`", hint=hint
    )


def plan_nixos_root(
    appliance: Appliance, tree: Output, *, group: str, keyring: Digest | None
) -> Output:
    """The tree of the root made of the NixOS system `tree`."""
    programs = {**units.programs(), "usr/lib/osloom/begin": _BEGIN.read_text()}
    return Step(
        action=arrange_nixos,
        title=f"arrange {group} as an appliance",
        group=group,
        parameters={"appliance": msgspec.to_builtins(appliance), "programs": programs},
        inputs={"tree": tree, **({"keyring": keyring} if keyring else {})},
    ).output()
