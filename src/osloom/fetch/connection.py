"""One connection of `fetch.http`: to a server, to its proxy, or to a socket of this machine."""

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from osloom.base.imports import import_without
from osloom.fetch.http import (
    AddressError,
    ConnectError,
    Content,
    Server,
    SilentError,
    TransportError,
    basic,
    pieces_of,
)
from osloom.fetch.proxy import find_proxy

# Loading it takes longer than many requests to this machine; where it is needed `context` has it.
import_without("http.client", "ssl")
import http.client  # noqa: E402

if TYPE_CHECKING:
    import ssl

_INFORMATIONAL = range(102, 200)
"""Statuses before the answer itself; http.client knows 100 alone. 101 answers what nobody asks."""


class Connection(http.client.HTTPConnection):
    """See the module. For one thread at a time."""

    sock: socket.socket | None
    auto_open = 0

    def __init__(
        self,
        server: Server,
        context: "ssl.SSLContext | None",
        *,
        unix: Path | None,
    ) -> None:
        self.server = server
        self._tls = context
        self._path = unix
        proxy = find_proxy(server) if unix is None else None
        at = urlsplit(proxy) if proxy else None
        super().__init__(
            (at.hostname if at else None) or server.host, at.port or 80 if at else server.port
        )
        # For the header Host, which does not name the usual one.
        self.default_port = 80 if context is None else 443
        self._before = ""
        """What the target begins with, RFC 9112 3.2.2."""
        self._login: dict[str, str] = {}
        self._is_direct = at is None
        if at is None:
            return
        login = {f"Proxy-{name}": value for name, value in basic(at).items()}
        if context is not None:
            self.set_tunnel(server.host, server.port, login)
        else:
            host = f"[{server.host}]" if ":" in server.host else server.host
            self._before = f"http://{host}" + (f":{server.port}" if server.port != 80 else "")
            self._login = login

    @classmethod
    def open(
        cls,
        server: Server,
        context: "ssl.SSLContext | None",
        *,
        seconds: float,
        note: Callable[[socket.socket], None],
        unix: Path | None,
    ) -> "Connection":
        """Connect within `seconds`; `note` gets the socket. Raises ConnectError, SilentError."""
        made = cls(server, context, unix=unix)
        made.timeout = seconds
        try:
            with explained(ConnectError):
                made.connect()
                assert made.sock is not None
                if context is None:
                    note(made.sock)
                else:
                    made.sock = wrapped = context.wrap_socket(
                        made.sock, server_hostname=server.host, do_handshake_on_connect=False
                    )
                    note(wrapped)
                    wrapped.do_handshake()
        except BaseException:
            made.close()
            raise
        return made

    def connect(self) -> None:
        if self._path is not None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(os.fspath(self._path))
        elif self._is_direct:
            # Of text Python would make IDNA, and load what that takes.
            address: Any = (self.host.encode(), self.port)
            self.sock = socket.create_connection(address, self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            super().connect()

    def is_idle(self) -> bool:
        """Whether the server has neither closed it nor said anything that nobody asked for."""
        if self.sock is None:
            return False
        looked = select.poll()
        looked.register(self.sock, select.POLLIN)
        return not looked.poll(0)

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: Content,
        patience: float,
    ) -> http.client.HTTPResponse:
        """The head of the answer. Raises TransportError and AddressError."""
        assert self.sock is not None
        self.sock.settimeout(patience)
        failures: list[BaseException] = []
        body = content
        if content is not None and not isinstance(content, bytes):
            body = pieces_of(content, failures)
        broken: OSError | None = None
        with explained(failures=failures):
            try:
                self.request(
                    method, self._before + target, body=body, headers={**self._login, **headers}
                )
            except (BrokenPipeError, ConnectionResetError) as error:
                # It may have answered before it had all of it: that it is too large, say.
                broken = error
            except (ValueError, http.client.InvalidURL) as error:
                if failures:
                    raise
                raise AddressError(str(error)) from error
            try:
                return self._answer()
            except (OSError, http.client.HTTPException):
                if broken is not None:
                    raise broken from None
                raise

    def _answer(self) -> http.client.HTTPResponse:
        answer = self.getresponse()
        while answer.status in _INFORMATIONAL:
            answer.headers = None  # type: ignore[assignment]  # Or the next head is not read.
            answer.begin()
        return answer


@contextlib.contextmanager
def explained(
    kind: type[TransportError] = TransportError, failures: "list[BaseException] | None" = None
) -> Iterator[None]:
    """What the standard library raises, as what `fetch.http` says it raises.

    What is in `failures` is nothing of the connection, and goes through.
    """
    try:
        yield
    except TimeoutError as error:
        if failures:
            raise
        raise SilentError("no answer in time") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if failures:
            raise
        text = "it hangs up without an answer"
        if not isinstance(error, http.client.RemoteDisconnected):
            text = str(error) or type(error).__name__
        raise kind(text) from error
