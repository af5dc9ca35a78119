"""Which version may follow which in a channel, and which stay. Nothing is read or written here."""

from collections.abc import Sequence

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import Error
from osloom.release.checksums import Sums, version_of
from osloom.release.version import Release


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """A channel after a release."""

    sums: dict[str, Digest]
    """All that it then holds."""
    dropped: tuple[str, ...]
    """Files that it no longer holds."""
    versions: tuple[int, ...]
    """Of the release's files, the newest first."""
    unchanged: bool
    """The release was there before, every byte of it; but for what its manifest says of where the
    definition was."""


def succeed(current: Sums, release: Release, *, keep: int) -> Succession:
    """Put `release` into a channel that holds `current`; the `keep` newest versions stay.

    Raises Error for a version that is there with other bytes, or is below the newest.
    """
    own, number = release.sums(), release.number
    there = {name: version for name in current if (version := version_of(name, release.id))}
    newest = max(there.values(), default=0)
    same = {name: digest for name, digest in current.items() if there.get(name) == number}
    unchanged = {**same, release.manifest_name: ""} == {**own, release.manifest_name: ""}
    if unchanged and release.manifest_name in same:
        versions = tuple(sorted({*there.values()}, reverse=True))
        return Succession(sums=dict(current), dropped=(), versions=versions, unchanged=True)
    compared = {*same, *own} if same else {*own} & {*current}
    differ = sorted(name for name in compared if current.get(name) != own.get(name))
    if differ:
        raise taken(release, newest, differ)
    check_number(release.id, number, newest)
    sums = {**current, **own}
    numbers = {name: version_of(name, release.id) for name in sums}
    ordered = sorted({one for one in numbers.values() if one}, reverse=True)
    kept, gone = ordered[:keep], ordered[keep:]
    dropped = {name for name in sums if numbers[name] in gone and name not in own}
    return Succession(
        sums={name: digest for name, digest in sums.items() if name not in dropped},
        dropped=tuple(sorted(dropped)),
        versions=tuple(kept),
        unchanged=False,
    )


def taken(release: Release, newest: int, differ: Sequence[str]) -> Error:
    """The version is that of others: the files `differ` are not the same."""
    return Error(
        f"cannot release version {release.version} of `{release.id}`: "
        "it is published already, with other bytes",
        hint=f'set `version = "{newest + 1}"` in `[project]`',
        detail="\n".join(f"differs: {name}" for name in differ),
    )


def check_number(own: str, number: int, newest: int) -> None:
    """Raises Error when `number` is below the newest version of `own`."""
    if number < newest:
        raise Error(
            f"cannot release version {number} of `{own}`: "
            f"version {newest} is published already, and devices do not go back",
            hint=f'set `version = "{newest + 1}"` in `[project]`',
        )
