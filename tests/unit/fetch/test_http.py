"""One client against servers that say what a test has them say, over real connections."""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from osloom.base.errors import FetchError
from osloom.fetch.http import AddressError, ConnectError, Http, SilentError, TransportError

TLS = b"\x16"
"""What a handshake begins with."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers the requests of each connection with what `answers` has for it, then hangs up."""

    def __init__(self, *connections: list[bytes], path: Path | None = None) -> None:
        self.requests: list[bytes] = []
        self._connections = connections
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.port: int = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        for answers in self._connections:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                for answer in answers:
                    self.requests.append(self._request(connection))
                    connection.sendall(answer)
        self._listener.close()

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data and not data.startswith(TLS):
            more = connection.recv(65536)
            if not more:
                raise ConnectionError
            data += more
        return data

    def done(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(ssl.create_default_context) as made:
        yield made


def get(http: Http, url: str, *, patience: float = 5) -> bytes:
    with contextlib.closing(http.send("GET", url, patience=patience)) as answer:
        return b"".join(answer.pieces())


def test_one_connection_serves_many_requests(http: Http) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n"
    nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    server = Server([OK, chunked, nothing, head, OK])
    assert get(http, f"{server.url}/a") == b"ok"
    assert get(http, f"{server.url}/b") == b"onetwo"
    # Of these two nobody reads the body: there is none.
    http.send("GET", f"{server.url}/c", patience=5).close()
    http.send("HEAD", f"{server.url}/d", patience=5).close()
    assert get(http, f"{server.url}/e") == b"ok"
    server.done()
    assert [line.split()[1] for line in server.requests] == [b"/a", b"/b", b"/c", b"/d", b"/e"]
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in server.requests[0]


def test_a_connection_that_the_server_closed_is_not_used_again(http: Http) -> None:
    server = Server([OK], [OK])
    assert get(http, server.url) == b"ok"
    time.sleep(0.05)
    assert get(http, server.url) == b"ok"
    server.done()


def test_a_body_that_nobody_wants_costs_its_connection(http: Http) -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", OK], [OK])
    answer = http.send("GET", server.url, patience=5)
    answer.close()
    assert get(http, server.url) == b"ok"
    server.done()


def test_what_came_before_a_body_broke_off_is_there(http: Http) -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
    answer = http.send("GET", server.url, patience=5)
    pieces = answer.pieces()
    assert next(pieces) == b"half"
    with pytest.raises(TransportError, match="the connection closed 6 bytes before the end"):
        next(pieces)
    answer.close()


def test_a_body_without_a_length_ends_with_its_connection(http: Http) -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n\r\nall of it"])
    assert get(http, server.url) == b"all of it"


def test_hints_before_the_answer_are_left_out(http: Http) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    server = Server([b"HTTP/1.1 100 Continue\r\n\r\n" + hint + hint + OK, OK])
    assert get(http, server.url) == b"ok"
    assert get(http, server.url) == b"ok"
    server.done()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
        b"",
    ],
)
def test_what_is_no_answer_is_an_error_of_transport(http: Http, answer: bytes) -> None:
    server = Server([answer])
    with pytest.raises(TransportError):
        get(http, server.url)


@pytest.mark.parametrize("length", [b"-1", b"some", b"2, 2"])
def test_a_length_that_is_none_is_not_believed(http: Http, length: bytes) -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nok"])
    assert get(http, server.url) == b"ok"


def test_a_server_that_refuses_before_it_has_everything_is_heard(http: Http) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_RD)
        time.sleep(0.3)
        connection.close()

    thread = threading.Thread(target=refuse)
    thread.start()

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)
            time.sleep(0.001)

    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    answer = http.send("PUT", url, content=endless(), patience=5)
    assert answer.status == 413
    answer.close()
    thread.join()
    listener.close()


def test_what_a_body_is_made_from_may_fail(http: Http) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError("the disk broke")

    server = Server([OK])
    with pytest.raises(OSError, match="the disk broke"):
        http.send("PUT", server.url, content=broken(), patience=5)


def test_bodies_have_a_length_or_come_in_chunks(http: Http) -> None:
    server = Server([OK], [OK], [OK])
    http.send("POST", server.url, content=iter([b"a", b"b"]), patience=5).close()
    headers = {"Content-Length": "2"}
    http.send("PUT", server.url, content=iter([b"a", b"b"]), headers=headers, patience=5).close()
    http.send("POST", server.url, patience=5).close()
    server.done()
    assert b"Transfer-Encoding: chunked" in server.requests[0]
    assert b"Content-Length: 2\r\n" in server.requests[1]
    assert b"Content-Length: 0\r\n" in server.requests[2]


def test_patience_ends(http: Http) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(SilentError, match="no answer in time"):
        get(http, f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0.1)
    listener.close()


def test_nobody_listens(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match="Connection refused"):
        get(http, f"http://127.0.0.1:{port}")


def test_tls_to_a_server_that_speaks_none(http: Http) -> None:
    server = Server([b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    with pytest.raises(ConnectError) as caught:
        get(http, f"https://127.0.0.1:{server.port}")
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize("tls", [False, True])
def test_shutting_wakes_who_waits(http: Http, *, tls: bool) -> None:
    """Of TLS the handshake, too."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            get(http, url, patience=60)
        except TransportError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    accepted, _ = listener.accept()
    accepted.recv(1)
    http.shut()
    thread.join(5)
    assert not thread.is_alive()
    assert len(raised) == 1
    accepted.close()
    listener.close()


def test_a_login_in_an_address_is_sent_and_nothing_of_it_is_in_the_target(http: Http) -> None:
    server = Server([OK])
    get(http, f"http://na%40me:pass%23word@127.0.0.1:{server.port}/a?b=c#d")
    # na@me:pass#word
    assert b"Authorization: Basic bmFAbWU6cGFzcyN3b3Jk\r\n" in server.requests[0]
    assert server.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    server.done()


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a b", b"/a%20b"),
        ("/é", b"/%C3%A9"),
        ("/a%20b", b"/a%20b"),
        ("/nar/x.nar.xz?sig=a/b+c==&d=%2F", b"/nar/x.nar.xz?sig=a/b+c==&d=%2F"),
        ("", b"/"),
        ("?a=<b>", b"/?a=%3Cb%3E"),
    ],
)
def test_what_no_target_may_have_is_escaped(http: Http, path: str, target: bytes) -> None:
    server = Server([OK])
    get(http, server.url + path)
    server.done()
    assert server.requests[0].split(b" ")[1] == target


@pytest.mark.parametrize(
    "url",
    ["ftp://host/a", "http:///a", "http://ho st/a", "http://host:port/a", "http://[::1/a", "a", ""],
)
def test_what_is_no_address(http: Http, url: str) -> None:
    with pytest.raises(AddressError):
        get(http, url)


def test_a_header_that_cannot_be_sent(http: Http) -> None:
    for value in ("a\r\nb: c", "…"):
        server = Server([OK])
        with pytest.raises(AddressError):
            http.send("GET", server.url, headers={"Authorization": value}, patience=5)


def test_a_socket_of_this_machine(tmp_path: Path) -> None:
    server = Server([OK], path=tmp_path / "socket")
    with Http(ssl.create_default_context, unix=tmp_path / "socket") as http:
        assert get(http, "http://engine/images") == b"ok"
    assert server.requests[0].startswith(b"GET /images HTTP/1.1\r\nHost: engine\r\n")


def test_plain_http_goes_through_a_proxy(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server([OK])
    monkeypatch.setenv("http_proxy", f"http://me:it@127.0.0.1:{proxy.port}")
    assert get(http, "http://mirror.example:8080/a?b") == b"ok"
    proxy.done()
    (request,) = proxy.requests
    assert request.startswith(b"GET http://mirror.example:8080/a?b HTTP/1.1\r\n")
    assert b"Host: mirror.example:8080\r\n" in request
    assert b"Proxy-Authorization: Basic bWU6aXQ=\r\n" in request


def test_tls_goes_through_a_tunnel(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server([b"HTTP/1.1 407 Who are you?\r\n\r\n"])
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
    with pytest.raises(ConnectError, match="407 Who are you"):
        get(http, "https://mirror.example/a")
    assert proxy.requests[0].startswith(b"CONNECT mirror.example:443 HTTP/1.")


def certificate(directory: Path) -> Path:
    """One that its key signed itself, and the key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("mirror.example")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    place = directory / "server.pem"
    place.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return place


def test_a_tunnel_ends_at_the_server_whose_name_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = certificate(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        accepted, _ = listener.accept()
        heard.append(accepted.recv(65536))
        accepted.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place)
        with context.wrap_socket(accepted, server_side=True) as connection:
            for _ in range(2):
                heard.append(connection.recv(65536))
                connection.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    proxy = f"http://me:it@127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("https_proxy", proxy)
    with Http(lambda: ssl.create_default_context(cafile=os.fspath(place))) as http:
        assert get(http, "https://mirror.example/a") == b"ok"
        assert get(http, "https://mirror.example/b") == b"ok"
    thread.join()
    listener.close()
    assert heard[0].startswith(b"CONNECT mirror.example:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6aXQ=\r\n" in heard[0]
    for path, request in zip((b"/a", b"/b"), heard[1:], strict=True):
        assert request.startswith(b"GET " + path + b" HTTP/1.1\r\nHost: mirror.example\r\n")
        assert b"Proxy-Authorization" not in request


def test_some_hosts_need_no_proxy(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that `no_proxy` names, and this machine."""
    server = Server([OK])
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    assert get(http, server.url) == b"ok"
    for names, refused in (("mirror.invalid,b", "name|Name"), ("b", "refused")):
        monkeypatch.setenv("no_proxy", names)
        with pytest.raises(ConnectError, match=refused):
            get(http, "http://mirror.invalid/")


def test_a_proxy_that_osloom_does_not_speak_to(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@proxy.example:1080")
    with pytest.raises(FetchError) as caught:
        get(http, "https://mirror.example/a")
    assert caught.value.message == (
        "cannot use the proxy socks5://proxy.example:1080 for mirror.example: "
        "it is no `http://` address"
    )


def test_any_number_of_threads(http: Http) -> None:
    server = Server(*([OK] for _ in range(20)))
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(get(http, server.url))) for _ in range(20)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [b"ok"] * 20
