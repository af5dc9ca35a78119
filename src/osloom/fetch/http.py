"""HTTP/1.1, RFC 9110 and 9112: the connections of one client, over the standard library's.

Nothing is followed, tried again or unpacked here: that is for who asks. Proxies come from the
environment. What this imports, it imports when a connection is made: most commands make none.
"""

import contextlib
import threading
import weakref
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    import socket
    import ssl
    from email.message import Message
    from http.client import HTTPResponse

    from osloom.fetch.connection import Connection

_CHUNK = 256 << 10
_MOST_KEPT = 32
"""Connections that wait for another request, of each server."""
_SAFE = "!$%&'()*+,-./:;=?@_~"
"""What stands for itself in a request's target, RFC 3986; `%` was written by who made the address."""

Content = bytes | Iterable[bytes] | None


class TransportError(Exception):
    """No answer, or not all of it: another try may go well."""


class ConnectError(TransportError):
    """There is no connection."""


class SilentError(TransportError):
    """The server takes longer than one has patience for."""


class AddressError(Exception):
    """No request can be made for such an address."""


class Server(msgspec.Struct, frozen=True):
    """Whom connections are to."""

    scheme: str
    host: str
    port: int


class Http:
    """See the module. For any number of threads.

    `context` gives what TLS trusts, when it is needed; `unix` is a socket of this machine that all
    requests go to.
    """

    def __init__(
        self,
        context: "Callable[[], ssl.SSLContext]",
        *,
        unix: Path | None = None,
    ) -> None:
        self._make_context = context
        self._context: ssl.SSLContext | None = None
        self._unix = unix
        self._guard = threading.Lock()
        self._kept: dict[Server, list[Connection]] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        patience: float,
        connect: float = 15,
    ) -> "Response":
        """The answer's head; its body is still to come, and it has to be closed.

        An iterable is sent in chunks where `headers` have no length. `patience` is seconds without
        a byte, `connect` those until there is a connection. A name and password in `url` are sent as
        RFC 7617 says. Raises TransportError and AddressError.
        """
        server, target, login = _parse(url)
        every = {"User-Agent": "osloom", **login, **(headers or {})}

        def ask(connection: "Connection") -> Response:
            try:
                answer = connection.ask(method, target, every, content, patience)
            except BaseException:
                connection.close()
                raise
            return Response(url, answer, connection, self._keep)

        kept = self._take(server)
        if kept is not None:
            try:
                return ask(kept)
            except SilentError:
                raise
            except TransportError:
                # The server may just have closed it. RFC 9110 9.2.2: what changes nothing is asked
                # again.
                if method not in ("GET", "HEAD"):
                    raise
        return ask(self._connect(server, min(connect, patience)))

    def shut(self) -> None:
        """Wake every thread that reads or writes: it gets a TransportError."""
        import socket

        with self._guard:
            every = list(self._sockets)
        for one in every:
            with contextlib.suppress(OSError):
                # Closing would not wake who reads. Not TLS's own farewell: that would wait, too.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._guard:
            every = [one for some in self._kept.values() for one in some]
            self._kept.clear()
        for one in every:
            one.close()

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, server: Server) -> "Connection | None":
        """One that was kept, if the server has not closed it since."""
        while True:
            with self._guard:
                some = self._kept.get(server)
                if not some:
                    return None
                connection = some.pop()
            if connection.is_idle():
                return connection
            connection.close()

    def _keep(self, connection: "Connection") -> None:
        with self._guard:
            some = self._kept.setdefault(connection.server, [])
            if len(some) < _MOST_KEPT:
                some.append(connection)
                return
        connection.close()

    def _connect(self, server: Server, seconds: float) -> "Connection":
        from osloom.fetch.connection import Connection

        context = self._tls() if server.scheme == "https" else None
        return Connection.open(
            server,
            context,
            seconds=seconds,
            note=self._note,
            unix=self._unix,
        )

    def _tls(self) -> "ssl.SSLContext":
        # Reading the system's authorities takes its time: once, and not for plain HTTP.
        with self._guard:
            if self._context is None:
                self._context = self._make_context()
            return self._context

    def _note(self, one: "socket.socket") -> None:
        with self._guard:
            self._sockets.add(one)


class Response:
    """An answer whose body comes piece by piece."""

    def __init__(
        self,
        url: str,
        answer: "HTTPResponse",
        connection: "Connection",
        keep: "Callable[[Connection], None]",
    ) -> None:
        self.url = url
        self.status = answer.status
        self.headers: Message[str, str] = answer.headers
        self._answer = answer
        self._connection: Connection | None = connection
        self._keep = keep
        if answer.length == 0:
            self._finish()

    def pieces(self) -> Generator[bytes]:
        """The body as it is sent. Raises TransportError when not all of it comes."""
        # Of Python 3.11 `read1` does not count what it has read.
        left = self._answer.length
        while left != 0:
            data = self._read(_CHUNK if left is None else min(left, _CHUNK))
            if left is not None:
                left -= len(data)
                if not data:
                    raise TransportError(f"the connection closed {left} bytes before the end")
            elif not data:
                break
            if left == 0:
                self._finish()
            yield data
        self._finish()

    def close(self) -> None:
        """A body that was not read to its end costs the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._answer.close()
            connection.close()

    def _read(self, size: int) -> bytes:
        from osloom.fetch.connection import explained

        with explained():
            return self._answer.read1(size)

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._answer.close()
        if self._answer.will_close:
            connection.close()
        else:
            self._keep(connection)


def _parse(url: str) -> tuple[Server, str, dict[str, str]]:
    """The server, the target of the request, and the header with the login of the address."""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
        port = parts.port or {"http": 80, "https": 443}[scheme]
        if not host or any(letter <= " " for letter in host):
            raise AddressError("it has no host")
        if not host.isascii():
            host = host.encode("idna").decode()
    except (ValueError, KeyError) as error:
        raise AddressError("it is no address of HTTP") from error
    target = quote(parts.path or "/", safe=_SAFE) + (
        f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    )
    return Server(scheme, host, port), target, basic(parts)


def basic(parts: SplitResult) -> dict[str, str]:
    """The header for the name and password of an address, RFC 7617; none without a name."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def pieces_of(content: Iterable[bytes], failures: list[BaseException]) -> Iterator[bytes]:
    """`content`, and in `failures` what it raised, which is no trouble of the connection."""
    try:
        yield from content
    except BaseException as error:
        failures.append(error)
        raise
