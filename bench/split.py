"""Where the time of one osloom command goes: what is imported, planned, run, asked and put in place.

    python bench/split.py push --to 127.0.0.1:5000/team

Runs the command in this process and prints, behind its own output, when each part ended, how long
it took and the processor time of this process until then, in milliseconds.
"""

import functools
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

_START = time.perf_counter()
_rows: list[tuple[float, float, float, str]] = []


def note(what: str, begun: float) -> None:
    now = time.perf_counter()
    _rows.append((now - _START, now - begun, time.process_time(), what))


def watch(place: str, name: Callable[..., str]) -> None:
    """Note every call of a function: `module:function` or `module:Class.method`."""
    module, _, path = place.partition(":")
    *owners, last = path.split(".")
    owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
    function = getattr(owner, last)

    def watched(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            note(name(*arguments), begun)

    setattr(owner, last, watched)


def main() -> int:
    from osloom.cli.main import main as run

    note("import the command line", _START)
    begun = time.perf_counter()
    for module in ("osloom.api.push", "osloom.api.build"):
        importlib.import_module(module)
    note("import build and push", begun)
    watch("osloom.api.build:plan", lambda *_: "plan")
    watch("osloom.api.session:Session.make", lambda *_: "fetch and run")
    watch("osloom.engine.executor:LocalExecutor.run", lambda _, step, *__: f"  {step.title}")
    watch("osloom.engine.executor:LocalExecutor.prepare", lambda *_: "  start processes")
    watch("osloom.api.publish:Publisher.publish", lambda *_: "put in place")
    for method in ("ask", "ask_once"):
        watch(
            f"osloom.fetch.registry.client:Client.{method}",
            lambda _, request, *__: f"  {request.method} {request.url[-60:]}",
        )
    status = run(sys.argv[1:])
    note("all", _START)
    print("   ended    took     cpu")
    for ended, took, cpu, what in sorted(_rows):
        print(f"{ended * 1e3:8.1f} {took * 1e3:7.1f} {cpu * 1e3:7.1f}  {what}")
    return status


if __name__ == "__main__":
    sys.exit(main())
