"""A process that runs steps for another: one JSON line in, one JSON line out.

The first line lists the modules that it will need, and is answered when they are loaded. Before
its answer to another it may say how it gets on, in lines of their own, `{"event": …}`.
What crosses the pipe is what a remote executor would be sent: the name and version of an action,
its parameters, and digests. The process is `engine.process`'s: it ends with its parent, and takes what
it started along.
"""

import importlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from osloom.base.errors import Error
from osloom.base.progress import Reporter, silent
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


def serve_requests(root: Path, requests: int, answers: int) -> None:
    """Read from and write to two descriptors, until the first ends."""
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
