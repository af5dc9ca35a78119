"""Ask Nix what installables are: it evaluates and builds them, and says what they refer to."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from osloom.base.errors import CommandError, Error, LockError, nearest
from osloom.model.closure import StorePath
from osloom.model.nix32 import parse_hash
from osloom.model.providers import Nix as Settings
from osloom.model.store_path import parse_store_path
from osloom.sources.nix.flake_files import Copies
from osloom.sources.nix.flakes import (
    Flake,
    attributes,
    name_of,
    resolve_flake,
    resolve_installable,
    visible,
)
from osloom.sources.nix.program import Nix

_MISSING = ("does not provide attribute", "has no attribute")


class Evaluator:
    """Nix, with the definition's settings. For any number of threads.

    It gets `copies` of local flakes, and never sees the private keys that they leave out.
    """

    def __init__(self, nix: Nix, settings: Settings, directory: Path, copies: Copies) -> None:
        self._nix = nix
        self._directory = directory
        self._copies = copies
        self._overrides = {
            name: resolve_flake(reference, directory)
            for name, reference in settings.overrides.items()
        }
        self._named = settings.overrides
        self._caches = [
            *("--option", "extra-substituters", " ".join(one.url for one in settings.cache)),
            *("--option", "extra-trusted-public-keys"),
            " ".join(key for one in settings.cache for key in one.keys),
        ]
        self._files = [
            Path(one.url.removeprefix("file://").partition("?")[0])
            for one in settings.cache
            if one.url.startswith("file://")
        ]

    def inputs(self, installable: str) -> set[str]:
        """The names that overrides may have for the flake of an installable. Raises LockError."""
        if (name := name_of(installable)) in self._named:
            return {name}
        flake, _ = self._resolve(installable, {})
        # With others in their place, so that those they replace need not be there.
        words = ["flake", "metadata", "--json", "--no-write-lock-file", flake.reference]
        try:
            said = self._run([*words, *self._replaced(self._named)], flake)
        except CommandError as error:
            raise _cannot(installable, error) from error
        nodes = json.loads(said)["locks"]
        root = nodes["nodes"][nodes["root"]]
        return set(root.get("inputs", {}))

    def build(
        self, installable: str, *, system: str, nixos: bool, overridden: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """The base names of what an installable of a flake is, built for `system`.

        `overridden` are the inputs of its flake that the definition has others for. Raises
        LockError with what Nix says.
        """
        flake, attribute = self._resolve(installable, self._named)
        words = ["build", "--no-link", "--json", "--no-write-lock-file", *self._caches]
        if name_of(installable) not in self._named:
            words += self._replaced(overridden)
        first: CommandError | None = None
        for one in attributes(attribute, system=system, nixos=nixos):
            try:
                said = self._run([*words, f"{flake.reference}#{one}"], flake)
            except CommandError as error:
                first = first or error
                if not any(word in error.message for word in _MISSING):
                    raise _cannot(installable, error) from error
            else:
                return _outputs(said)
        assert first is not None
        raise _cannot(installable, first) from first

    def describe(self, names: Sequence[str]) -> dict[str, StorePath]:
        """Store paths of Nix's own store and all that they refer to, by base name.

        Raises LockError for what is not in it.
        """
        if not names:
            return {}
        words = ["path-info", "--json", "--recursive", *(f"/nix/store/{name}" for name in names)]
        try:
            said = self._run(words, None)
        except CommandError as error:
            raise LockError(
                f"cannot tell what {names[0]} refers to: {error.message}", detail=error.detail
            ) from error
        return {one.name: one for one in parse_path_info(said)}

    def _resolve(self, installable: str, named: Mapping[str, str]) -> tuple[Flake, str]:
        flake, attribute = resolve_installable(installable, named, self._directory)
        return self._copies.shown(flake), attribute

    def _replaced(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            other = self._copies.shown(self._overrides[name])
            yield from ("--override-input", name, other.reference)

    def _run(self, words: Sequence[str], flake: Flake | None) -> bytes:
        others = [self._copies.shown(one) for one in self._overrides.values()] if flake else []
        seen = [path for one in (flake, *others) if one for path in visible(one)]
        seen += [one for one in self._files if one.is_dir()]
        try:
            return self._nix(words, visible=seen, hidden=self._copies.keys)
        except CommandError as error:
            named = self._copies.named
            raise CommandError(named(error.message), detail=named(error.detail)) from error


def _cannot(installable: str, error: CommandError) -> LockError:
    return LockError(f"cannot lock `{installable}`: {error.message}", detail=error.detail)


def check_overrides(overrides: Sequence[str], known: set[str]) -> None:
    """Raises LockError for the first override of what no flake has as an input."""
    for name in overrides:
        if name not in known:
            close = nearest(name, sorted(known))
            there = f"there are: {', '.join(sorted(known))}" if known else None
            raise LockError(
                f"cannot override `{name}`: no flake of the definition has such an input",
                hint=f"did you mean `{close[0]}`?" if close else there,
            )


def _outputs(said: bytes) -> tuple[str, ...]:
    """The base names of what was built, by the names of the outputs."""
    return tuple(
        parse_store_path(path)
        for one in json.loads(said)
        for _, path in sorted(one["outputs"].items())
    )


def parse_path_info(said: bytes) -> list[StorePath]:
    """What `nix path-info --json` says: an object by path, or an array before Nix 2.19.

    Raises LockError for what is neither.
    """
    try:
        data = json.loads(said)
        pairs = data.items() if isinstance(data, dict) else [(one["path"], one) for one in data]
        return [_store_path(path, one) for path, one in pairs]
    except (ValueError, KeyError, TypeError, AttributeError, Error) as error:
        raise LockError(
            f"cannot understand what this Nix says of store paths: {error}",
            hint="put the `nix` on your PATH aside, and osloom takes its own",
        ) from error


def _store_path(path: str, said: Mapping[str, Any] | None) -> StorePath:
    if said is None:
        raise ValueError(f"{path} is not valid")
    deriver = said.get("deriver")
    return StorePath(
        name=parse_store_path(path),
        nar_hash=parse_hash(said["narHash"]),
        nar_size=said["narSize"],
        references=tuple(sorted(parse_store_path(one) for one in said["references"])),
        deriver=parse_store_path(deriver) if deriver else None,
        signatures=tuple(said.get("signatures", ())),
        content_address=said.get("ca") or None,
    )
