"""A TPM 2.0 for a machine: swtpm(8) of the tools image, a process of its own."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from osloom.base.errors import BuildError
from osloom.engine.tools import Tools
from osloom.run.background import in_background

STATE = "tpm"
"""The directory of a machine's working directory that holds what its TPM remembers."""

_SOCKET = "tpm.socket"
_START_TIMEOUT = 30


@contextlib.contextmanager
def tpm(tools: Tools, work: Path) -> Iterator[None]:
    """A TPM that QEMU finds at `tpm.socket` of `work` while the block runs.

    It ends with QEMU as well. Raises BuildError when it does not start.
    """
    if not (tools.root / "usr/bin/swtpm").exists():
        raise BuildError(
            "cannot start a machine with a TPM: the tools image has no swtpm",
            hint="run `osloom lock`",
        )
    (work / STATE).mkdir(exist_ok=True)
    (work / _SOCKET).unlink(missing_ok=True)
    log = work / "tpm.log"
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir=/mnt/work/{STATE}"]
    command += ["--ctrl", f"type=unixio,path=/mnt/work/{_SOCKET}", "--terminate"]
    command += ["--log", f"file=/mnt/work/{log.name}"]
    with in_background(tools.argv(command, work=work), log) as program:
        deadline = time.monotonic() + _START_TIMEOUT
        while not (work / _SOCKET).exists():
            if not program.is_alive() or time.monotonic() > deadline:
                said = log.read_text(errors="replace")
                raise BuildError("cannot start the machine's TPM: swtpm failed", detail=said)
            time.sleep(0.01)
        yield
