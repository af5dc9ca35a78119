"""Workers as copies of the process that needs them, which a process of the test's own shows."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, os, sys, threading, time
from pathlib import Path
from osloom.base.imports import import_without
import_without("shutil", "lzma")
from osloom.base.progress import silent
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Step
from osloom.store.store import Store
from support.actions import describe

place, case = Path(sys.argv[1]), sys.argv[2]
store = Store(place / "store")
if case == "thread":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
if case == "lzma":
    import lzma
if case == "key":
    from osloom.keys.signer import read_secret
    (place / "release.key").write_bytes(b"secret")
    read_secret(place / "release.key")
held = (place / "held").open("w")
decoder = place / "liblzma.so.5"
executor = LocalExecutor(store, slots=2, decoder=lambda: decoder if decoder.exists() else None)
inputs = {}
if case == "few":
    before = Step(action=describe, title="before", parameters={"name": "before"}).output("file")
    other = LocalExecutor(store, slots=1)
    Builder(store, other, silent).make([before])
    other.stop()
    inputs["before"] = before
steps = [
    Step(action=describe, title=name, parameters={"name": name}, inputs=inputs, weight=1)
    for name in "ab"
]
digests = Builder(store, executor, silent).make([step.output("file") for step in steps])
print(store.blobs.read(digests[0]).decode(), flush=True)
if case == "killed":
    time.sleep(600)
executor.stop()
"""


def start(place: Path, case: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, place, case],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def own_decoder(place: Path) -> list[str]:
    """A liblzma that is not the host's; none where Python has it within itself."""
    importlib.import_module("lzma")
    for word in Path("/proc/self/maps").read_text().split():
        if "liblzma" in word:
            shutil.copy(word, place / "liblzma.so.5")
            return [str(place / "liblzma.so.5")]
    return []


def describe(place: Path, case: str) -> dict[str, Any]:
    """What a step in a worker of a process says of where it is."""
    with start(place, case) as process:
        assert process.stdout is not None
        found: dict[str, Any] = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert found["parent"] == process.pid
    assert found["session"] == found["process"]
    return found


@pytest.mark.parametrize("case", ["many", "few"])
def test_a_worker_is_a_copy_and_holds_nothing_of_the_process_it_was_copied_from(
    tmp_path: Path, case: str
) -> None:
    decoder = own_decoder(tmp_path)
    found = describe(tmp_path, case)
    assert "-c" in found["words"]
    assert found["decoders"] == decoder
    assert str(tmp_path / "held") not in found["files"]


@pytest.mark.parametrize("case", ["thread", "lzma", "key"])
def test_where_no_copy_can_be_made_it_is_a_new_process(tmp_path: Path, case: str) -> None:
    decoder = own_decoder(tmp_path)
    found = describe(tmp_path, case)
    assert "osloom.engine.process" in found["words"]
    assert found["decoders"] == decoder


def test_the_process_itself_decodes_as_its_workers_do(tmp_path: Path) -> None:
    decoder = own_decoder(tmp_path)
    program = """
import sys
from pathlib import Path
from osloom.base.imports import import_without
import_without("shutil", "lzma")
from osloom.engine.executor import LocalExecutor
from osloom.store.store import Store
place = Path(sys.argv[1])
executor = LocalExecutor(Store(place / "store"), decoder=lambda: place / "liblzma.so.5")
executor.decode_here()
import lzma
words = Path("/proc/self/maps").read_text().split()
print(*sorted({word for word in words if "liblzma" in word}))
"""
    words = [sys.executable, "-c", program, tmp_path]
    assert subprocess.check_output(words, text=True).split() == decoder


def test_a_copy_ends_with_the_process_it_was_copied_from(tmp_path: Path) -> None:
    with start(tmp_path, "killed") as process:
        assert process.stdout is not None
        worker = json.loads(process.stdout.readline())["process"]
        os.kill(worker, 0)
        process.send_signal(signal.SIGKILL)
    for _ in range(1000):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("the worker is still there")
