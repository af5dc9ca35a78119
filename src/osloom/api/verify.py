"""Prove that a build is reproducible: build again where nothing is the same, and compare.

Of what can be released, the files of the release are compared too. Nothing is published, and the
list of them is not signed: its signature has a time.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.api.build import build
from osloom.api.elsewhere import build_elsewhere
from osloom.api.plan import plan
from osloom.api.release import Wanted, is_releasable, release
from osloom.api.session import Session
from osloom.base.digest import digest_bytes
from osloom.base.progress import Event
from osloom.model.artifact import Artifact
from osloom.model.definition import Image
from osloom.model.tree import Tree, describe
from osloom.release.checksums import SUMS
from osloom.release.version import is_number
from osloom.store.store import Store

_CHUNK = 1 << 20
_RELEASE = "release"
"""Where beside the outputs the files of releases are compared."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where two builds of one output part."""

    path: str
    """The output's file."""
    offset: int
    """The first byte that differs, from 0."""
    inside: str = ""
    """The first path of the image that differs, and how; empty when the trees are the same."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    artifact: Artifact
    difference: Difference | None


def verify(session: Session, images: Mapping[str, Image]) -> list[Verdict]:
    """Build `images` twice, the second time elsewhere; one verdict for each output, and for each
    file of a release."""
    released = [name for name, image in images.items() if _has_release(session, image)]
    with session.store.working_directory() as work:
        first = build(session, images, directory=work / "first")
        first += _release(session, images, released, work / "first" / _RELEASE)
        session.report(Event(kind="note", id="verify", title="build again, elsewhere"))
        other = build_elsewhere(session, list(images), released, work / "elsewhere", _RELEASE)
        trees = _trees(session, images, other)
        return [
            Verdict(
                artifact=one,
                difference=_compare(one.path, work, trees.get(one.image, "")),
            )
            for one in first
        ]


def _has_release(session: Session, image: Image) -> bool:
    version = session.project.definition.project.version
    return is_releasable(image) and is_number(version)


def _release(
    session: Session, images: Mapping[str, Image], names: list[str], channel: Path
) -> list[Artifact]:
    """Publish `names` into `channel`; gives the files there, by their paths beside the outputs."""
    wanted = Wanted(to=str(channel), unsigned=True)
    made = []
    for name in names:
        (published,) = release(session, {name: images[name]}, wanted, now=0)
        sums = (channel / name / SUMS).read_bytes()
        files = {one.name: (one.size, one.digest) for one in published.files}
        files[SUMS] = (len(sums), digest_bytes(sums))
        made += [
            Artifact(
                image=name,
                format="release",
                path=f"{_RELEASE}/{name}/{file}",
                size=size,
                digest=digest,
            )
            for file, (size, digest) in files.items()
        ]
    return made


def _trees(session: Session, images: Mapping[str, Image], other: Store) -> dict[str, str]:
    """For each image the first path of its tree that differs between the builds."""
    planned = plan(session, images)
    found = {}
    for name, one in planned.images.items():
        step = one.tree.step
        second = other.results.find(step.key)
        (digest,) = session.make([one.tree])
        if second is not None and second.outputs["tree"] != digest:
            found[name] = first_difference(
                session.store.load_tree(digest), other.load_tree(second.outputs["tree"])
            )
    return found


def first_difference(one: Tree, other: Tree) -> str:
    """The first path in which two trees differ, and how."""
    for path in sorted({*one, *other}):
        mine, theirs = one.get(path), other.get(path)
        if mine != theirs:
            said = [describe(node) if node else "nothing" for node in (mine, theirs)]
            if said[0] == said[1]:
                said = [f"{said[0]}, time {node.mtime}" for node in (mine, theirs) if node]
            return f"/{path}: {said[0]}, then {said[1]}"
    return ""


def _compare(path: str, work: Path, inside: str) -> Difference | None:
    first, second = work / "first" / path, work / "second" / path
    for one in _files(first):
        name = one.relative_to(first)
        other = second / name
        offset = first_byte(one, other)
        if offset is not None:
            shown = path if first.is_file() else f"{path}/{name}"
            return Difference(path=shown, offset=offset, inside=inside)
    return None


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())


def first_byte(one: Path, other: Path) -> int | None:
    """The offset of the first byte that differs; None when the files are equal."""
    if not other.exists():
        return 0
    offset = 0
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            mine, theirs = left.read(_CHUNK), right.read(_CHUNK)
            if mine != theirs:
                pairs = enumerate(zip(mine, theirs, strict=False))
                short = min(len(mine), len(theirs))
                return offset + next((place for place, (a, b) in pairs if a != b), short)
            if not mine:
                return None
            offset += len(mine)
