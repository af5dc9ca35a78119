"""What types cannot say of a test: which of its keys go together."""

from collections.abc import Iterator

from osloom.definition.check import Mistake
from osloom.definition.check import Path as KeyPath
from osloom.model.definition import Image, Test

_CHECKS = ("run", "http", "file")
_ONLY_WITH_FILE = ("mode", "owner", "absent")
_NOT_WITH_FILE = ("status", "read-only")
_NOT_WITH_ABSENT = ("contains", "mode", "owner")


def check_tests(image: Image, path: KeyPath) -> Iterator[Mistake]:
    """`path` is the image's."""
    for number, test in enumerate(image.test):
        place = (*path, "test", number)
        yield from _check_keys(test, place)
        if image.outputs:
            yield from _check_outputs(image, test, place)


def _check_keys(test: Test, path: KeyPath) -> Iterator[Mistake]:
    given = _given(test)
    checks = [key for key in _CHECKS if key in given]
    if len(checks) > 1:
        said = f"the test has {' and '.join(f'`{key}`' for key in checks)}"
        yield Mistake((*path, checks[1]), said, "make two tests of it")
    elif not checks and "arguments" not in given:
        hint = "give one of `run`, `http`, `file` and `arguments`"
        yield Mistake(path, "the test checks nothing", hint)
    elif test.run is not None and not test.run.strip():
        yield Mistake((*path, "run"), "the test is empty", "say what to run")
    else:
        for key, other in _wrong_together(given):
            yield Mistake((*path, key), f"`{key}` says nothing {other}", "leave it out")


def _wrong_together(given: set[str]) -> Iterator[tuple[str, str]]:
    for key in _ONLY_WITH_FILE:
        if key in given and "file" not in given:
            yield key, "without `file`"
    if "file" in given:
        yield from ((key, "of a file") for key in _NOT_WITH_FILE if key in given)
    if "absent" in given:
        yield from ((key, "of an absent file") for key in _NOT_WITH_ABSENT if key in given)
    for key in ("run", "file"):
        if key in given and "arguments" in given:
            yield "arguments", f"with `{key}`: the container's program does not start"


def _given(test: Test) -> set[str]:
    keys = (*_CHECKS, *_ONLY_WITH_FILE, *_NOT_WITH_FILE, *_NOT_WITH_ABSENT, "arguments")
    return {key for key in keys if getattr(test, key.replace("-", "_")) not in (None, False)}


def _check_outputs(image: Image, test: Test, path: KeyPath) -> Iterator[Mistake]:
    name = path[1]
    made = ", ".join(image.outputs)
    if test.outputs is not None and not set(test.outputs) & set(image.outputs):
        said = f"the test would never run: `{name}` makes {made}"
        yield Mistake((*path, "outputs"), said, "name one of these, or leave `outputs` out")
    elif test.is_for_containers and "oci" not in (test.outputs or image.outputs):
        given = _given(test)
        key = next(one for one in ("http", "file", "arguments", "read-only") if one in given)
        said = f"the test would never run: `{key}` is for the output `oci`"
        yield Mistake((*path, key), said, "test it with `run`, or make the output")
