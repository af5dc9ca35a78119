"""What a worker does in a copy of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, os, sys, threading, time
from osloom.engine import process

held = open(sys.argv[1], "w")
memory = ["worker"]
process._WORKER.set()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def tell():
    memory.append("copy")
    os.umask(0o077)
    try:
        held.write("x")
        held.flush()
    except OSError:
        pass
    print(json.dumps([dict(os.environ), memory, threading.active_count()]), flush=True)

def fail():
    raise RuntimeError("no namespace")

told, failed = (process.run_copied(one, {"TZ": "UTC"}) for one in (tell, fail))
print(json.dumps([told[0], json.loads(told[1]), failed[0], failed[1].decode(), memory]))
os._exit(0)
"""


def copied(place: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, place],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_a_copy_has_the_memory_but_neither_files_nor_environment(tmp_path: Path) -> None:
    held = tmp_path / "held"
    status, told, _, _, memory = copied(held)
    assert status == 0
    environment, seen, threads = told
    assert {name: value for name, value in environment.items() if name != "LC_CTYPE"} == {
        "TZ": "UTC"
    }
    assert seen == ["worker", "copy"]
    assert threads == 1
    assert memory == ["worker"]
    assert held.read_text() == ""


def test_a_copy_that_fails_says_why(tmp_path: Path) -> None:
    _, _, status, said, _ = copied(tmp_path / "held")
    assert status == 1
    assert said.endswith("RuntimeError: no namespace\n")
