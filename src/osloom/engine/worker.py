"""A process that runs steps for another: one JSON line in, one JSON line out.

The first line lists the modules that it will need, and is answered when they are loaded. Before
its answer to another it may say how it gets on, in lines of their own, `{"event": …}`.
What crosses the pipe is what a remote executor would be sent: the name and version of an action,
its parameters, and digests. The process ends with its parent, and takes what it started along.
"""

import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from osloom.base.errors import Error
from osloom.base.progress import Reporter, silent
from osloom.engine import clock
from osloom.engine.decoder import load_decoder
from osloom.engine.step import NO_SIGNERS, Action, Job, Signers
from osloom.store.store import Store


def find_action(name: str) -> Action:
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, Action), name
    return found


def run_action(
    store: Store,
    request: dict[str, Any],
    report: Reporter = silent,
    signers: Signers = NO_SIGNERS,
) -> dict[str, Any]:
    """Run one action; gives `outputs` and `facts`."""
    inputs = {
        name: tuple(given) if isinstance(given, list) else given
        for name, given in request["inputs"].items()
    }
    with store.working_directory() as work:
        job = Job(
            store=store,
            parameters=request["parameters"],
            inputs=inputs,
            work=work,
            report=report,
            signers=signers,
        )
        outputs = find_action(request["action"]).run(job)
        return {"outputs": dict(outputs), "facts": job.facts}


def answer(
    store: Store, line: str, report: Reporter = silent, signers: Signers = NO_SIGNERS
) -> dict[str, Any]:
    try:
        return run_action(store, json.loads(line), report, signers)
    except Error as error:
        import base64
        import pickle

        return {"error": base64.b64encode(pickle.dumps(error)).decode()}
    except Exception:  # noqa: BLE001  (a bug of ours: its traceback is raised in the parent)
        import traceback

        return {"bug": traceback.format_exc()}


def _serve(requests: int, answers: int, root: Path) -> None:
    store = Store(root, share=False)
    guard = threading.Lock()
    with os.fdopen(requests) as source, os.fdopen(answers, "w") as sink:

        def say(what: dict[str, Any]) -> None:
            with guard:
                sink.write(json.dumps(what) + "\n")
                sink.flush()

        for name in json.loads(source.readline()):
            importlib.import_module(name)
        say({})
        for line in source:
            say(answer(store, line, lambda event: say({"event": msgspec.structs.asdict(event)})))


def _end_with_parent(descriptor: int) -> None:
    """The parent never writes to this pipe: its end is the parent's end."""
    os.read(descriptor, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    clock.move()
    root, alive = Path(sys.argv[1]), int(sys.argv[2])
    for decoder in sys.argv[3:]:
        load_decoder(Path(decoder))
    requests, answers = os.dup(0), os.dup(1)
    # What an action or a library prints must not end up between the answers.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    _serve(requests, answers, root)


if __name__ == "__main__":
    main()
