"""What the definition takes from flakes, as Nix has to hear it, and where local flakes are.

https://nix.dev/manual/nix/stable/command-ref/new-cli/nix3-flake#flake-references
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from osloom.base.digest import Digest, digest_json
from osloom.base.errors import LockError
from osloom.model.closure import is_flake
from osloom.model.definition import Image
from osloom.model.providers import Nix
from osloom.model.values import SYSTEMS

_TOPLEVEL = "config.system.build.toplevel"
_BY_SYSTEM = ("packages", "legacyPackages", "checks", "devShells", "apps", "formatter")
_WHOLE = ("nixosConfigurations", *_BY_SYSTEM)


def system_of(image: Image, nix: Nix) -> str:
    """What Nix calls the system that an image is for."""
    return nix.system or SYSTEMS[image.architecture or "amd64"][0]


def evaluation_of(image: Image, nix: Nix) -> Digest | None:
    """Of how the flakes of an image are evaluated; None where it takes from none."""
    if not any(is_flake(one) for one in image.installables):
        return None
    return digest_json([system_of(image, nix), sorted(nix.overrides.items()), image.nixos])


class Flake(msgspec.Struct, frozen=True, kw_only=True):
    """A flake, as Nix finds it from anywhere."""

    reference: str
    directory: Path | None
    """Where it is, if it is on this machine."""


def resolve_flake(reference: str, directory: Path) -> Flake:
    """`reference`, with a relative path taken as one below `directory`.

    Raises LockError for a path that is empty: Nix would take a directory of its own for it.
    """
    kind, _, path = reference.partition("path:")
    if not path.partition("?")[0] and reference.partition("?")[0] in ("", "path:"):
        raise LockError(
            f"cannot lock from the flake `{reference}`: it names no path",
            hint="write `path:.` for the definition's own directory",
        )
    plain = path if not kind and path else reference
    if (not kind and path) or plain.startswith((".", "/")):
        text, mark, query = plain.partition("?")
        place = Path(os.path.normpath(directory / text))
        prefix = "path:" if plain != reference else ""
        if not prefix:
            # As for Nix, a path without scheme may be one below the flake.
            found = (one for one in (place, *place.parents) if (one / "flake.nix").is_file())
            place = next(found, place)
        return Flake(reference=f"{prefix}{place}{mark}{query}", directory=place)
    if reference.startswith("git+file://"):
        text = reference.removeprefix("git+file://").partition("?")[0]
        return Flake(reference=reference, directory=Path(text))
    return Flake(reference=reference, directory=None)


def name_of(installable: str) -> str:
    """What the registry of flakes calls the flake of an installable, if it is one of it."""
    return installable.partition("#")[0].removeprefix("flake:").partition("/")[0]


def resolve_installable(
    installable: str, overrides: Mapping[str, str], directory: Path
) -> tuple[Flake, str]:
    """The flake of an installable and the attribute; a flake's name gives way to its override."""
    reference, _, attribute = installable.partition("#")
    return resolve_flake(overrides.get(name_of(installable), reference), directory), attribute


def place_of(flake: Flake) -> Path:
    """Where the flake.nix of a local flake is."""
    assert flake.directory is not None
    query = parse_qs(flake.reference.partition("?")[2])
    return flake.directory / query.get("dir", [""])[0]


def check_flake(installable: str, overrides: Mapping[str, str], directory: Path) -> None:
    """Raises LockError where an installable is of a directory, and no flake is there.

    Nix says so too, in many lines. What git has of a repository only git knows.
    """
    flake, attribute = resolve_installable(installable, overrides, directory)
    if flake.directory is None or flake.reference.startswith("git+"):
        return
    place = place_of(flake)
    if not (place / "flake.nix").is_file():
        above = "" if flake.reference.startswith("path:") else " or above"
        raise LockError(
            f"cannot lock `{installable}`: there is no flake.nix in {place}{above}",
            hint=f"say where the flake is, from the definition's directory: `./DIRECTORY#{attribute}`",
        )


def attributes(attribute: str, *, system: str, nixos: bool) -> tuple[str, ...]:
    """Where in a flake's outputs it may be, in the order in which Nix looks.

    A NixOS system means its toplevel; of its name alone, it is one of `nixosConfigurations`.
    """
    path, mark, outputs = attribute.partition("^")
    first = path.split(".")[0]
    if first == "nixosConfigurations" or nixos:
        whole = path if first in _WHOLE else f"nixosConfigurations.{path}"
        ends = whole.endswith(_TOPLEVEL) or first in _BY_SYSTEM
        return (whole if ends else f"{whole}.{_TOPLEVEL}",)
    if first in _WHOLE:
        return (attribute,)
    kinds = [f"{kind}.{system}.{path}{mark}{outputs}" for kind in _BY_SYSTEM[:2]]
    return (*kinds, attribute)


def repository_of(flake: Flake) -> Path | None:
    """The work tree of git that a local flake is read from; none for one with `path:`."""
    if flake.directory is None or flake.reference.startswith("path:"):
        return None
    places = (flake.directory, *flake.directory.parents)
    return next((place for place in places if (place / ".git").exists()), None)


def visible(flake: Flake) -> Iterator[Path]:
    """What Nix has to read of this machine for a flake."""
    if flake.directory is None:
        return
    top = repository_of(flake)
    yield top or flake.directory
    yield from (one.directory for one in inputs_here(flake) if one.directory is not None)
    if top is not None and (top / ".git").is_file():
        # A work tree of its own: what it belongs to is named in it, gitrepository-layout(5).
        named = (top / ".git").read_text().removeprefix("gitdir:").strip()
        own = Path(os.path.normpath(top / named))
        yield own
        common = own / "commondir"
        if common.is_file():
            yield Path(os.path.normpath(own / common.read_text().strip()))


def inputs_here(flake: Flake) -> Iterator[Flake]:
    """The inputs that the flake.lock of a local flake has from this machine."""
    if flake.directory is None:
        return
    try:
        nodes = json.loads((place_of(flake) / "flake.lock").read_bytes())["nodes"].values()
        inputs = [one["locked"] for one in nodes if "locked" in one]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # Nix says what is wrong with it.
    for one in inputs:
        path, url = str(one.get("path", "")), str(one.get("url", ""))
        place = path or url.removeprefix("file://")
        if place.startswith("/") and Path(place).exists():
            reference = f"path:{path}" if path else f"git+{url}"
            yield Flake(reference=reference, directory=Path(place))
