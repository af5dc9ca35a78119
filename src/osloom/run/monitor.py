"""What QEMU itself says of a machine, and is told, by QMP.

https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

import json
import socket
from pathlib import Path
from typing import Any

_PATIENCE = 2
"""Seconds; QEMU answers in a millisecond, unless somebody has stopped it."""


class Monitor:
    """Of the machine with the socket `path`. For one thread; nobody else may be connected."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stands_still(self) -> bool:
        """Whether QEMU has stopped the machine because it can write no more to a disk.

        It does so without a word, and waits to be told that it can, qemu(1) `werror`.
        """
        return self._ask("query-status").get("status") == "io-error"

    def go_on(self) -> None:
        """Have it try again."""
        self._ask("cont")

    def _ask(self, command: str) -> dict[str, Any]:
        """The answer; nothing where there is nobody to ask: before QEMU is up, and afterwards."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_PATIENCE)
                connection.connect(str(self._path))
                with connection.makefile("rwb") as stream:
                    json.loads(stream.readline())  # its greeting
                    _execute(stream, "qmp_capabilities")
                    return _execute(stream, command)
        except (OSError, ValueError):
            return {}


def _execute(stream: Any, command: str) -> dict[str, Any]:
    stream.write(json.dumps({"execute": command}).encode() + b"\n")
    stream.flush()
    while True:
        # Between them are events.
        answer = json.loads(stream.readline())
        if "return" in answer or "error" in answer:
            found: dict[str, Any] = answer.get("return", {})
            return found
