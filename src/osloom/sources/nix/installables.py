"""What installables are: store paths that are named, and those that Nix makes of flakes."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from osloom.base.addresses import without_logins
from osloom.base.errors import LockError
from osloom.base.progress import Event, Reporter
from osloom.model.closure import STORE, StorePath, is_flake
from osloom.model.providers import Nix as Settings
from osloom.sources.nix.bring import Origins
from osloom.sources.nix.evaluate import Evaluator, check_overrides
from osloom.sources.nix.flake_files import Copies
from osloom.sources.nix.flakes import check_flake
from osloom.sources.nix.program import Nix

_AT_ONCE = 4
"""Evaluations, each of which may build by itself."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an installable is, for one system."""

    installable: str
    system: str
    nixos: bool
    """Whether it is the system that the image is."""


Answers = dict[Question, tuple[str, ...]]


def ask(
    asked: Sequence[Question],
    settings: Settings,
    origins: Origins,
    *,
    directory: Path,
    copies: Copies,
    find_nix: Callable[[], Nix],
    report: Reporter,
) -> tuple[Answers, dict[str, StorePath]]:
    """The store paths of each, and what Nix's own store says of them and all that they refer to.

    Of a path that is in no store of this machine nothing is said. Raises LockError.
    """
    flakes = [one for one in asked if is_flake(one.installable)]
    answers: Answers = {
        one: (one.installable.removeprefix(f"{STORE}/"),) for one in asked if one not in flakes
    }
    named = [name for names in answers.values() for name in names]
    here = [
        name
        for name in named
        if any(os.path.lexists(f"{store}/{name}") for store in origins.stores)
    ]
    if not flakes and not here:
        return answers, {}
    for one in flakes:
        check_flake(one.installable, settings.overrides, directory)
    evaluator = Evaluator(find_nix(), settings, directory, copies)
    overridden = _overridden(evaluator, flakes, settings)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        built = pool.map(lambda one: _build(evaluator, one, overridden[one], report), flakes)
        made = dict(zip(flakes, built, strict=True))
    local = evaluator.describe([name for names in made.values() for name in names])
    for name in here:
        # What lies there may not be valid: then a cache has to have it.
        with contextlib.suppress(LockError):
            local |= evaluator.describe([name])
    return answers | made, local


def _overridden(evaluator: Evaluator, flakes: Sequence[Question], settings: Settings) -> Answers:
    """For each, which of its flake's inputs the definition has others for."""
    if not settings.overrides:
        return dict.fromkeys(flakes, ())
    inputs = {one: evaluator.inputs(one.installable) for one in flakes}
    if flakes:
        known = {name for names in inputs.values() for name in names}
        check_overrides(list(settings.overrides), known)
    return {
        one: tuple(name for name in settings.overrides if name in inputs[one]) for one in flakes
    }


def _build(
    evaluator: Evaluator, one: Question, overridden: Sequence[str], report: Reporter
) -> tuple[str, ...]:
    title = without_logins(f"evaluate {one.installable}")
    identity = f"{title} {one.system}"
    report(Event(kind="started", id=identity, title=title, group="nix"))
    start = time.monotonic()
    try:
        found = evaluator.build(
            one.installable, system=one.system, nixos=one.nixos, overridden=overridden
        )
    except BaseException:
        report(Event(kind="failed", id=identity, title=title, group="nix"))
        raise
    seconds = time.monotonic() - start
    report(Event(kind="finished", id=identity, title=title, group="nix", seconds=seconds))
    return found
