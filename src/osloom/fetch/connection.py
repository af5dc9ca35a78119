"""One HTTP/1.1 connection: h11 knows the protocol, RFC 9112, and this moves the bytes.

Not httpx: importing that takes as long as the rest of what a push of one changed file does.
"""

import contextlib
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping

import h11

_READ = 64 << 10
"""Bytes."""
_LARGEST_HEAD = 100 << 10
"""Bytes: an address to be sent on to may have a whole signed permission in it."""


class TransportError(Exception):
    """The connection broke, or what comes over it is not HTTP; another try may go well."""


class ConnectError(TransportError):
    """There is no connection."""


class SilenceError(TransportError):
    """Nothing came or went in time."""


class Headers(Mapping[str, str]):
    """Those of an answer, by name in any case; one that comes twice is joined, RFC 9110, 5.3."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def every(self, name: str) -> list[str]:
        """The values of a name, one for each time that it comes."""
        return self._values.get(name.lower(), [])


@contextlib.contextmanager
def transport() -> Iterator[None]:
    """Errors of the network in this module's words; those of TLS are their cause."""
    try:
        yield
    except TimeoutError as error:
        raise SilenceError("no answer in time") from error
    except (OSError, h11.RemoteProtocolError) as error:
        raise TransportError(str(error) or type(error).__name__) from error


class Connection:
    """See the module. For one thread at a time, but for `shut`."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: Iterable[bytes]
    ) -> h11.Response:
        """Send a request; gives the head of the answer.

        Raises TransportError, and ValueError for what cannot stand in a request.
        """
        self._request(method, target, headers, content)
        while True:
            event = self._next()
            if isinstance(event, h11.Response):
                return event
            # Of what is between, RFC 9110 section 15.2, there is nothing to learn.
            if not isinstance(event, h11.InformationalResponse):
                raise TransportError("the server closed the connection")

    def body(self) -> Iterator[bytes]:
        """The answer's body as it comes. Raises TransportError when it does not end well."""
        while isinstance(event := self._next(), h11.Data):
            yield bytes(event.data)

    def renew(self) -> bool:
        """Whether another request can be sent: both sides are done with this one, and willing."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    def is_silent(self) -> bool:
        """Whether nothing came over it while it was idle: what would come is its end."""
        poll = select.poll()
        poll.register(self.stream, select.POLLIN)
        return not poll.poll(0)

    def shut(self) -> None:
        """Wake whoever waits for it, from any thread; closing would not.

        Not TLS's own farewell: that would wait, too.
        """
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.stream, socket.SHUT_RDWR)

    def close(self) -> None:
        self.stream.close()

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], content: Iterable[bytes]
    ) -> None:
        try:
            head = h11.Request(method=method, target=target, headers=list(headers.items()))
            data = self._state.send(head)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise ValueError(f"cannot ask for {target!r}") from error
        for chunk in self._spelled(data, content):
            with transport():
                try:
                    self.stream.sendall(chunk)
                except (BrokenPipeError, ConnectionResetError):
                    # A server may answer and close before it has read everything.
                    return

    def _spelled(self, head: bytes | None, content: Iterable[bytes]) -> Iterator[bytes]:
        """The request's bytes; a small one is one packet."""
        waiting = head or b""
        try:
            for chunk in content:
                waiting += self._state.send(h11.Data(data=chunk)) or b""
                if len(waiting) > _READ:
                    yield waiting
                    waiting = b""
            yield waiting + (self._state.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise TransportError("what was to be sent has changed") from error

    def _next(self) -> object:
        """The next event of h11, whatever has to be read for it."""
        with transport():
            while (event := self._state.next_event()) is h11.NEED_DATA:
                data = self.stream.recv(_READ)
                if not data and self._state.their_state is h11.SEND_RESPONSE:
                    raise TransportError("the server closed the connection")
                self._state.receive_data(data)
        return event


class Response:
    """An answer whose body is still to be read; to be closed in any case."""

    def __init__(
        self, connection: Connection, head: h11.Response, url: str, done: Callable[[], None]
    ) -> None:
        self.status = head.status_code
        self.headers = Headers(
            (name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers
        )
        self.url = url
        self.chunks = connection.body
        self._done: Callable[[], None] | None = done

    def close(self) -> None:
        """The connection may be someone else's from then on."""
        done, self._done = self._done, None
        if done is not None:
            done()
