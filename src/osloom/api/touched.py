"""Which of a definition's own files and directories are not what they were in a git revision."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from osloom.api import git
from osloom.compose.ingest import taken


def touched(directory: Path, sources: Iterable[Path], revision: str) -> frozenset[Path]:
    """Those of `sources`, which are below `directory`, that put something else into an image.

    Raises UsageError where git cannot tell, and DefinitionError for what cannot be read.
    """
    changed = git.changed_since(directory, revision)
    around = changed | _above(changed)
    ends = {source: source.resolve() for source in sources}
    known = git.tracked(directory, ends.values())
    known |= _above(known)
    return frozenset(
        source
        for source, end in ends.items()
        if any(_has_changed(place, changed, around) for place in (*_links(source), end))
        # Of what git does not have, ignored or not, nobody knows what it was.
        or any(path not in known for path in (end, *taken(end)))
    )


def _has_changed(place: Path, changed: frozenset[Path], around: frozenset[Path]) -> bool:
    """Whether it is one of `changed`, above one, or in a submodule, of which git names no more."""
    return place in around or not changed.isdisjoint(place.parents)


def _above(paths: Iterable[Path]) -> frozenset[Path]:
    return frozenset(parent for path in paths for parent in path.parents)


def _links(path: Path) -> Iterator[Path]:
    """The symbolic links on the way to what `path` names; no link is above one of them."""
    here, rest = Path("/"), list(reversed(path.absolute().parts[1:]))
    while rest:
        part = rest.pop()
        here = here.parent if part == ".." else here / part
        if here.is_symlink():
            yield here
            target = here.readlink()
            rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            here = Path("/") if target.is_absolute() else here.parent
