"""Outputs `sysext` and `confext`: what a system can have on top of itself while it runs.

A disk image that is found by its partitions' types, with dm-verity: the root hash is the two
partitions' ids, and in a file beside it, where systemd looks for it; signed, where there is a key.
systemd-sysext(8), os-release(5), RootHash= of systemd.exec(5),
https://uapi-group.org/specifications/specs/discoverable_disk_image/
"""

import posixpath
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from osloom.assemble.filesystem import make_erofs
from osloom.assemble.place import make_disk_file
from osloom.assemble.request import Product, Request
from osloom.assemble.verified import add_verified
from osloom.assemble.verity_signature import plan_signature
from osloom.base.digest import Digest, derive_uuid, to_hex
from osloom.base.errors import BuildError, nearest
from osloom.engine.step import Job, Step, action
from osloom.model.appliance import ARCHITECTURES
from osloom.model.extension import PLACES
from osloom.model.gpt import LONGEST_LABEL
from osloom.model.gpt_table import READ_ONLY, Wanted, lay_out, write_gpt
from osloom.model.tree import Node, Tree, with_parents
from osloom.model.verity import Verity
from osloom.store.blobs import Blobs

_RELEASE = {"sysext": "usr/lib/extension-release.d", "confext": "etc/extension-release.d"}
_UNITS = {"sysext": "usr/lib/systemd/system", "confext": "etc/systemd/system"}
_ANY_NAME = (("user.extension-release.strict", b"0"),)
"""Releases and devices may name the file with its version or without."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `write_content`."""

    kind: str
    """A key of PLACES."""
    name: str
    version: str
    architecture: str
    """As Debian says it."""
    epoch: int
    level: str | None = None
    enable: tuple[str, ...] = ()
    """Units that start."""
    compression: str | None = None


@action(version=2)
def write_content(job: Job) -> Mapping[str, Digest]:
    """What of `tree` one `kind` of extension merges, as a file system; its `hashes`, `root_hash`.

    `release` is os-release(5) of the system it is for.
    """
    settings = msgspec.convert(job.parameters, Settings)
    blobs = job.store.blobs
    tree = extension_tree(job.tree(), blobs, settings, blobs.read(job.digest("release")))
    if not any(node.kind != "dir" for path, node in tree.items() if not _is_release(path)):
        tops = " and ".join(f"/{top}" for top in PLACES[settings.kind])
        raise BuildError(
            f"cannot make the {settings.kind} `{settings.name}`: it would be empty, as there is "
            f"nothing new in {tops}",
            hint="add `packages` or `files`, or leave the output out",
        )
    make_erofs(job, tree, "root", settings.compression)
    return add_verified(
        blobs,
        job.work / "root",
        salt=bytes.fromhex(to_hex(tree.digest)),
        identity=derive_uuid("verity", tree.digest),
    )


@action(version=3)
def write_extension(job: Job) -> Mapping[str, Digest]:
    """The blobs `root` and `hashes`, and where it is signed `signature`, as a disk image.

    `notes` are for people.
    """
    blobs = job.store.blobs
    root_hash = blobs.read(job.digest("root_hash")).decode()
    ids = Verity(root_hash=root_hash, hashes=b"")
    root_type = f"root-{ARCHITECTURES[job.parameters['architecture']]}"
    parts = {
        "root": (root_type, ids.data_id),
        "hashes": (f"{root_type}-verity", ids.hash_id),
        "signature": (f"{root_type}-verity-sig", derive_uuid("signature", root_hash)),
    }
    files = {name: blobs.path(job.digest(name)) for name in parts if name in job.inputs}
    partitions = [
        Wanted(
            type=parts[name][0],
            label=job.parameters["label"],
            id=parts[name][1],
            size=file.stat().st_size,
            attributes=READ_ONLY,
        )
        for name, file in files.items()
    ]
    table, size = lay_out(partitions, identity=derive_uuid("disk", root_hash))
    filled = zip(table.partitions, files.values(), strict=True)
    disk = job.work / "disk"
    make_disk_file(
        disk, size, {**write_gpt(table, size), **{one.offset: file for one, file in filled}}
    )
    job.facts["notes"] = blobs.read(job.digest("notes")).decode()
    return {"file": blobs.add_file(disk)}


def extension_tree(tree: Tree, blobs: Blobs, settings: Settings, release: bytes) -> Tree:
    """What of `tree` is merged, and what says for which systems that is.

    Raises BuildError for a unit that is to start and is not there.
    """
    kind, tops = settings.kind, PLACES[settings.kind]
    nodes = {path: node for path, node in tree.items() if path.partition("/")[0] in tops}
    texts = _started(settings, tree, blobs) if kind == "sysext" else {}
    reloads = any(path.startswith(f"{_UNITS[kind]}/") for path in (*nodes, *texts))
    place = f"{_RELEASE[kind]}/extension-release.{settings.name}"
    texts[place] = _release(settings, release, reloads=reloads)
    for path, text in texts.items():
        data = text.encode()
        nodes[path] = Node(
            "file",
            0o644,
            mtime=settings.epoch,
            size=len(data),
            digest=blobs.add(data),
            xattrs=_ANY_NAME if path == place else (),
        )
    return with_parents(nodes, mtime=settings.epoch)


def _is_release(path: str) -> bool:
    return posixpath.basename(path).startswith("extension-release.")


def _release(settings: Settings, release: bytes, *, reloads: bool) -> str:
    """The fields of os-release(5) that are compared, and those that name the extension itself."""
    host = parse_release(release.decode(errors="replace"))
    prefix = settings.kind.upper()
    fields = {"ID": host.get("ID", "_any")}
    if settings.level is not None:
        fields[f"{prefix}_LEVEL"] = settings.level
    elif "VERSION_ID" in host:
        fields["VERSION_ID"] = host["VERSION_ID"]
    fields["ARCHITECTURE"] = ARCHITECTURES[settings.architecture]
    fields[f"{prefix}_ID"] = settings.name
    fields[f"{prefix}_VERSION_ID"] = settings.version
    if reloads:
        fields["EXTENSION_RELOAD_MANAGER"] = "1"
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in fields.items())


def parse_release(text: str) -> dict[str, str]:
    """The fields of os-release(5); lines of another form are passed over."""
    fields = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key.isidentifier():
            try:
                fields[key] = "".join(shlex.split(value)[:1])
            except ValueError:
                continue
    return fields


def _started(settings: Settings, tree: Tree, blobs: Blobs) -> dict[str, str]:
    """Drop-ins by which the targets of units uphold them: what is merged while the system starts
    is no part of what it set out to start, systemd.unit(5)."""
    wanted: dict[str, list[str]] = {}
    there = {posixpath.basename(path): path for path in tree if path.startswith(_UNITS["sysext"])}
    for unit in settings.enable:
        if unit not in there:
            close = nearest(unit, [one for one in there if "." in one])
            raise BuildError(
                f"cannot start `{unit}`: `{settings.name}` brings no such unit",
                hint=f"did you mean `{close[0]}`?" if close else None,
            )
        digest = tree[there[unit]].digest
        text = blobs.read(digest).decode(errors="replace") if digest else ""
        for target in _wanted_by(text):
            wanted.setdefault(target, []).append(unit)
    return {
        f"{_UNITS['sysext']}/{target}.d/50-{settings.name}.conf": f"[Unit]\nUpholds={' '.join(units)}\n"
        for target, units in wanted.items()
    }


def _wanted_by(unit: str) -> Sequence[str]:
    """The targets of the section [Install]."""
    lines = [line.strip() for line in unit.splitlines()]
    found = [
        target
        for line in lines
        for key, _, value in [line.partition("=")]
        if key.strip() in ("WantedBy", "RequiredBy", "UpheldBy")
        for target in value.split()
    ]
    return found or ["multi-user.target"]


def plan_sysext(request: Request) -> tuple[Product, ...]:
    return _products(request, "sysext")


def plan_confext(request: Request) -> tuple[Product, ...]:
    return _products(request, "confext")


def _products(request: Request, kind: str) -> tuple[Product, ...]:
    assert request.release is not None
    assert request.notes is not None
    settings = Settings(
        kind=kind,
        name=request.name,
        version=request.project.version,
        architecture=request.architecture,
        epoch=request.epoch,
        level=request.image.extension.level,
        enable=request.image.systemd.enable,
        compression=request.image.extension.compression,
    )
    file = f"{settings.name}_{settings.version}.{kind}"
    content = Step(
        action=write_content,
        title=f"write the content of {file}.raw",
        group=request.name,
        parameters=msgspec.to_builtins(settings),
        inputs={
            "tree": request.tree,
            "release": request.release,
            "tools": request.tools,
        },
    )
    root_hash = content.output("root_hash")
    signed = {}
    if request.verity_key is not None:
        signed["signature"] = plan_signature(request.verity_key, root_hash, group=request.name)
    image = Step(
        action=write_extension,
        title=f"write {file}.raw",
        group=request.name,
        parameters={
            "architecture": settings.architecture,
            "epoch": settings.epoch,
            "label": f"{settings.name}_{settings.version}"[:LONGEST_LABEL],
        },
        inputs={
            **{name: content.output(name) for name in ("root", "hashes", "root_hash")},
            **signed,
            "notes": request.notes,
            "tools": request.tools,
        },
    )
    return (
        Product(path=f"{file}.raw", output=image.output("file")),
        Product(path=f"{file}.roothash", output=root_hash),
    )
