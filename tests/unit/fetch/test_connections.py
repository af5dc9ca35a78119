"""Connections to a real server on this machine, which says what it is told to, byte by byte."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from osloom.base.errors import FetchError
from osloom.fetch.connection import ConnectError, Response, SilenceError, TransportError
from osloom.fetch.connections import Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Server:
    """Answers the requests of each connection in turn, and notes them."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.heads: list[str] = []
        self._answers = connections
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        for answers in self._answers:
            stream, _ = self._socket.accept()
            with stream, stream.makefile("rb") as source:
                for answer in answers:
                    head = b""
                    while (line := source.readline()) not in (b"\r\n", b""):
                        head += line
                    self.heads.append(head.decode())
                    stream.sendall(answer)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*connections: list[bytes]) -> Server:
        made.append(Server(*connections))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def connections(*, proxies: bool = False) -> Connections:
    return Connections(ssl.create_default_context, proxies=proxies)


def get(to: Connections, url: str, *, patience: float = 10.0) -> Response:
    return to.send("GET", url, {}, (), patience=patience)


def body(answer: Response) -> bytes:
    whole = b"".join(answer.chunks())
    answer.close()
    return whole


def test_a_connection_is_used_again(serve: Callable[..., Server]) -> None:
    server, to = serve([OK, OK]), connections()
    assert [body(get(to, f"http://{server.address}/{one}")) for one in "ab"] == [b"hello"] * 2
    to.close()
    assert [head.split()[1] for head in server.heads] == ["/a", "/b"]


def test_one_that_the_server_has_ended_is_not(serve: Callable[..., Server]) -> None:
    server, to = serve([OK], [OK]), connections()
    assert body(get(to, f"http://{server.address}/")) == b"hello"
    (idle,) = next(iter(to._idle.values()))
    # Its end is on its way.
    idle.stream.recv(1, socket.MSG_PEEK)
    assert body(get(to, f"http://{server.address}/")) == b"hello"
    to.close()


def test_one_whose_answer_was_not_read_is_not(serve: Callable[..., Server]) -> None:
    server, to = serve([OK], [OK]), connections()
    get(to, f"http://{server.address}/").close()
    assert body(get(to, f"http://{server.address}/")) == b"hello"
    to.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + bytes(1 << 20),
    ],
    ids=["nothing", "no HTTP", "cut off", "cut off in chunks", "two lengths", "endless head"],
)
def test_what_is_no_whole_answer_is_an_error(serve: Callable[..., Server], answer: bytes) -> None:
    server, to = serve([answer]), connections()
    with pytest.raises(TransportError):
        body(get(to, f"http://{server.address}/"))
    to.stop()


def test_an_answer_before_the_end_of_the_question_counts(serve: Callable[..., Server]) -> None:
    server = serve([b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"])
    size = 32 << 20
    answer = connections().send(
        "PUT",
        f"http://{server.address}/",
        {"Content-Length": str(size)},
        (bytes(1 << 20) for _ in range(size >> 20)),
        patience=10,
    )
    assert answer.status == 413
    answer.close()


def test_where_nothing_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectError, match="refused"):
        get(connections(), f"http://127.0.0.1:{port}/")


def test_a_silent_server_is_not_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SilenceError):
        get(connections(), f"http://127.0.0.1:{silent.getsockname()[1]}/", patience=0.1)


def test_who_waits_can_be_stopped() -> None:
    to = connections()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        caught: list[Exception] = []

        def ask() -> None:
            try:
                get(to, url)
            except TransportError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        stream, _ = silent.accept()
        with stream:
            stream.recv(1)
            to.stop()
            thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize(
    "url", ["ftp://host/", "http:///", "http://host:99999999/", "http://ä\x80/"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        get(connections(), url)


def test_an_address_is_spelled_as_it_may_be(serve: Callable[..., Server]) -> None:
    server, to = serve([OK]), connections()
    body(get(to, f"http://{server.address}/a b/ü%20?x=1&y=a b"))
    assert server.heads[0].split("\r\n")[0] == "GET /a%20b/%C3%BC%20?x=1&y=a%20b HTTP/1.1"
    to.close()


def test_a_proxy_is_asked_for_the_whole_address(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve([OK])
    monkeypatch.setenv("http_proxy", f"http://user:pass%40word@{proxy.address}")
    to = connections(proxies=True)
    assert body(get(to, "http://registry.example.com/v2/")) == b"hello"
    to.close()
    first, *rest = proxy.heads[0].splitlines()
    assert first == "GET http://registry.example.com/v2/ HTTP/1.1"
    # user:pass@word
    assert "Proxy-Authorization: Basic dXNlcjpwYXNzQHdvcmQ=" in rest
    assert "Host: registry.example.com" in rest


def test_through_a_proxy_tls_is_a_tunnel(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve([b"HTTP/1.1 200 Connected\r\n\r\nno TLS"])
    monkeypatch.setenv("https_proxy", proxy.address)
    with pytest.raises(ConnectError) as caught:
        get(connections(proxies=True), "https://registry.example.com/v2/")
    assert isinstance(caught.value.__context__ or caught.value.__cause__, TransportError)
    assert proxy.heads[0].splitlines()[:2] == [
        "CONNECT registry.example.com:443 HTTP/1.1",
        "Host: registry.example.com:443",
    ]


def test_a_proxy_that_refuses_is_told(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve([b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"])
    monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
    with pytest.raises(ConnectError, match="the proxy answered with status 407"):
        get(connections(proxies=True), "https://registry.example.com/v2/")


def test_what_needs_no_proxy_has_none(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve([OK])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    to = connections(proxies=True)
    assert body(get(to, f"http://{server.address}/")) == b"hello"
    to.close()


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(FetchError) as caught:
        get(connections(proxies=True), "https://registry.example.com/v2/")
    assert caught.value.message == (
        "cannot use the proxy that the environment names with `socks5://`"
    )
    assert caught.value.hint == "osloom speaks HTTP with proxies: `http://`"
