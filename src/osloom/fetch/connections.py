"""The connections of an HTTP client, to be ended while threads wait for them."""

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httpcore import NetworkStream


class Connections:
    """Give `note` to each request as httpx's extension `trace`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._streams: set[NetworkStream] = set()

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._guard:
                self._streams.add(info["return_value"])

    def shut(self) -> None:
        """Wake every thread that reads or writes: it gets an error of transport."""
        with self._guard:
            streams = list(self._streams)
        for one in streams:
            found = one.get_extra_info("socket")
            with contextlib.suppress(OSError):
                # Closing would not wake who reads. Not TLS's own farewell: that would wait, too.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
