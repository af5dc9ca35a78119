"""The read-only root of an appliance.

What is written on a device lies on its data partition: /var is there, and /etc shows what the
device has changed over what the version has. So a file of /etc that nobody touched is the running
version's, and one that was written stays as it was written.
"""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.appliance import extensions, units, update
from osloom.compose.appliance.signature import signature_files
from osloom.compose.appliance.state import with_state
from osloom.compose.application.trim import trimmed
from osloom.engine.step import Job, Output, Step, action
from osloom.model.appliance import (
    Appliance,
    crypttab,
    device_partitions,
    fstab,
    manager_settings,
    mounts,
    repart_files,
)
from osloom.model.emergency import emergency_units
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.blobs import Blobs

_REPART = "usr/lib/repart.d"
_UNITS = "usr/lib/systemd/system"
_TRUSTED = ("usr/lib/systemd/import-pubring.gpg", "etc/systemd/import-pubring.gpg")
"""Whose signatures systemd-pull takes: all keys of both."""
CERTIFICATES = "usr/lib/verity.d"
"""Whose signatures of root hashes systemd takes: the files *.crt there, in PEM."""
_LEFT_OUT = ("boot", "etc/fstab", *_TRUSTED)
_NEEDED = {
    "usr/lib/systemd/systemd-sysupdate": "systemd-container",
    "usr/bin/gpg": "gpg",
    "usr/bin/curl": "curl",
    "usr/lib/systemd/systemd-bless-boot": "systemd-boot",
}
"""What updates need on the device, and the packages that have it."""


@action(version=8)
def arrange(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as the root of the appliance `appliance`; `keyring` signs its updates, and the
    owner of `certificate`, in PEM, its extensions.
    """
    appliance = msgspec.convert(job.parameters["appliance"], Appliance)
    blobs = job.store.blobs
    tree = trimmed(job.tree(), appliance.keep)
    _check(tree, appliance)
    tree, lines = with_state(tree.without(_LEFT_OUT), epoch=appliance.epoch)
    texts = {
        **units.units(appliance),
        **{
            f"{_REPART}/{name}": text
            for name, text in repart_files(device_partitions(appliance)).items()
        },
        **{
            f"{update.DIRECTORY}/{name}": text for name, text in update.transfers(appliance).items()
        },
        "usr/lib/tmpfiles.d/osloom-state.conf": lines,
        # It would make directories where there are links.
        "usr/lib/tmpfiles.d/home.conf": "# See osloom-state.conf.\n",
        # What the definition enables is enabled; a first boot adds nothing, systemd.preset(5).
        "usr/lib/systemd/system-preset/00-osloom.preset": "disable *\n",
        "etc/fstab": fstab(appliance),
        **({"etc/crypttab": swap} if (swap := crypttab(appliance)) else {}),
        **manager_settings(appliance),
        **emergency_units(),
        **extensions.extension_files(appliance),
        **signature_files(appliance),
        **_release(tree, blobs, appliance),
    }
    added = files(texts, blobs, epoch=appliance.epoch)
    executable = {**job.parameters["programs"], **units.health_scripts(appliance)}
    added |= files(executable, blobs, epoch=appliance.epoch, mode=0o755)
    links = {**units.wanted(appliance), **extensions.extension_links(appliance)}
    for path, target in links.items():
        added[path] = Node("symlink", 0o777, mtime=appliance.epoch, target=target)
    places = [
        one.strip("/") for one in mounts(appliance.disk).values() if not one.startswith("/var/")
    ]
    for path in ("boot", "efi", "proc", "sys", "dev", "run", "tmp", *places):
        if path not in tree:
            mode = 0o1777 if path == "tmp" else 0o755
            added[path] = Node("dir", mode, mtime=appliance.epoch)
    if f"{_UNITS}/tmp.mount" in tree:
        # Elsewhere than in memory there is no place to write to.
        added[f"{_UNITS}/local-fs.target.wants/tmp.mount"] = Node(
            "symlink", 0o777, mtime=appliance.epoch, target="../tmp.mount"
        )
    certificates = {
        "keyring": _TRUSTED[0],
        "certificate": f"{CERTIFICATES}/{appliance.id}.crt",
    }
    for name, path in certificates.items():
        if name in job.inputs:
            digest = job.digest(name)
            size = blobs.path(digest).stat().st_size
            added[path] = Node("file", 0o644, mtime=appliance.epoch, size=size, digest=digest)
    made = tree.overlaid(with_parents(added, mtime=appliance.epoch))
    return {"tree": job.store.add_tree(made)}


def _release(tree: Tree, blobs: Blobs, appliance: Appliance) -> dict[str, str]:
    """os-release(5) with what the extensions of the appliance compare."""
    levels = extensions.levels(appliance.extensions)
    path = tree.resolve("etc/os-release")
    node = tree.get(path)
    if not levels or node is None or node.digest is None:
        return {}
    lines = blobs.read(node.digest).decode().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in levels]
    return {path: "\n".join([*kept, *(f"{key}={level}" for key, level in levels.items()), ""])}


def files(
    texts: Mapping[str, str], blobs: Blobs, *, epoch: int, mode: int = 0o644
) -> dict[str, Node]:
    """Nodes with these contents."""
    made = {}
    for path, text in texts.items():
        data = text.encode()
        digest = blobs.add(data, executable=bool(mode & 0o111))
        made[path] = Node("file", mode, mtime=epoch, size=len(data), digest=digest)
    return made


def _check(tree: Tree, appliance: Appliance) -> None:
    """Raises BuildError where the image has not what an appliance needs of it."""
    needed = dict(_NEEDED) if appliance.update.url is not None else {}
    for path, package in needed.items():
        if path not in tree:
            raise BuildError(
                f"cannot make an appliance of {appliance.id}: it has no `{package}`",
                hint=f"add the package `{package}`, or leave `url` out of the table `update`",
            )


def plan_root(
    appliance: Appliance,
    tree: Output,
    *,
    group: str,
    keyring: Digest | None,
    certificate: Digest | None,
) -> Output:
    """The tree of the read-only root made of the image tree `tree`."""
    return Step(
        action=arrange,
        title=f"arrange {group} as an appliance",
        group=group,
        # What they say is of the step's key: a changed program makes another root.
        parameters={
            "appliance": msgspec.to_builtins(appliance),
            "programs": dict(units.programs()),
        },
        inputs={
            "tree": tree,
            **({"keyring": keyring} if keyring else {}),
            **({"certificate": certificate} if certificate else {}),
        },
    ).output()
