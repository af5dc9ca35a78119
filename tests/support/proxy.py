"""A proxy in front of a registry, which can be told to misbehave."""

import http.client
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request on its way; the functions below answer it well or badly."""

    handler: http.server.BaseHTTPRequestHandler
    body: bytes
    upstream: str

    @property
    def method(self) -> str:
        return self.handler.command

    @property
    def path(self) -> str:
        return self.handler.path

    def forward(self, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """What the registry answers."""
        sent = self.body if body is None else body
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        # The registry builds addresses from Host: they lead through here.
        headers = {name: value for name, value in self.handler.headers.items() if value}
        headers["Content-Length"] = str(len(sent))
        connection.request(self.method, self.path, body=sent, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        dropped = ("transfer-encoding", "connection")
        return (
            answer.status,
            {name: value for name, value in answer.getheaders() if name.lower() not in dropped},
            data,
        )

    def answer(self, status: int, headers: dict[str, str] | None = None, data: bytes = b"") -> None:
        handler = self.handler
        handler.send_response(status)
        given = {"Content-Length": str(len(data)), **(headers or {})}
        for name, value in given.items():
            handler.send_header(name, value)
        handler.end_headers()
        if self.method != "HEAD":
            handler.wfile.write(data)

    def drop(self) -> None:
        """End the connection without another word."""
        with suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)
        self.handler.close_connection = True


Behaviour = Callable[[Exchange], bool]
"""Answers a request in its own way, and says whether it did."""


@dataclass
class Proxy:
    address: str
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request, in order."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for one, path in self.seen if one == method and part in path)


@contextmanager
def proxying(
    upstream: str, behaviour: Behaviour | None = None, *, cut: Behaviour | None = None
) -> Iterator[Proxy]:
    """In front of the registry `upstream`; `cut` is asked before the body has been read."""
    guard = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            with guard:
                proxy.seen.append((self.command, self.path))
                proxy.headers.append(dict(self.headers.items()))
            if cut is not None and cut(Exchange(self, b"", upstream)):
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            exchange = Exchange(self, body, upstream)
            if behaviour is not None and behaviour(exchange):
                return
            exchange.answer(*exchange.forward())

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # Connections that break are what this is for.

    server = Server(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
