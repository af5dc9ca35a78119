"""One connection of the server of `run.serve`: requests in, files out."""

import contextlib
import html
import http.server
import os
import socket
import socketserver
import ssl
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

from osloom.run.http_answer import File, choose

Pace = Callable[[str, int], None]
"""Called with the path and the offset before each piece of a file: it may wait, or raise
ConnectionError to cut the connection."""
_PIECE = 64 << 10
_PATIENCE = 60.0
"""Seconds that a client may be silent."""
_KINDS = {".json": "application/json", ".html": "text/html; charset=utf-8"}
_TEXT = "text/plain; charset=utf-8"


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One request that is over."""

    client: str
    method: str
    path: str
    """As it was asked for, without what is behind `?`."""
    status: int
    sent: int
    """Bytes of the body."""
    cut: bool = False
    """The connection ended before the body did."""


class Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, each for a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    root: Path
    """Of the directory; it leads through no link."""
    context: ssl.SSLContext | None
    log: Callable[[Served], None]
    pace: Pace | None

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def cut(self) -> None:
        """End all connections."""
        for one in [*self.connections]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client: Any) -> None:
        """A client that broke off, or spoke no TLS; anything else is a mistake of this module."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client)
        self.log(Served(client=client[0], method="-", path="-", status=0, sent=0, cut=True))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _PATIENCE
    error_content_type = _TEXT
    error_message_format = "%(message)s\n"
    server: Listener

    def setup(self) -> None:
        if self.server.context is not None:
            # Here and not where connections are accepted: a client that is silent stops no other.
            self.request.settimeout(_PATIENCE)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()
        if self.server.context is not None:
            self.connection.close()

    def version_string(self) -> str:
        return "osloom"

    def log_message(self, *_: object) -> None:
        """Requests are told by `_tell`."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """See `log_message`."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        super().send_error(code, message, explain)
        self._tell(int(code), 0)

    def _refuse(self) -> None:
        # What it has in its body is not read.
        self.close_connection = True
        self._say(405, "this server only gives: GET and HEAD", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815

    def _get(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        if self.request_version == "HTTP/1.1" and "Host" not in self.headers:
            self._say(400, "a request of HTTP/1.1 names the host")
            return
        descriptor = _open(self.server.root, self.path)
        if descriptor is None:
            self._say(404, "there is no such file")
            return
        try:
            info = os.fstat(descriptor)
            if stat.S_ISDIR(info.st_mode):
                self._list(descriptor)
            else:
                with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                    self._send(file, info)
        finally:
            os.close(descriptor)

    do_GET = do_HEAD = _get  # noqa: N815

    def _send(self, file: Any, info: os.stat_result) -> None:
        tag = f'"{info.st_ino:x}-{info.st_size:x}-{info.st_mtime_ns:x}"'
        found = File(size=info.st_size, modified=int(info.st_mtime), tag=tag)
        given = {name.lower(): value for name, value in self.headers.items()}
        answer = choose(self.command, given, found)
        headers = {"ETag": tag, "Last-Modified": found.last_modified, "Accept-Ranges": "bytes"}
        if answer.status in (412, 416):
            if answer.status == 416:
                headers["Content-Range"] = f"bytes */{found.size}"
            self._say(answer.status, "the file is another, or has no such part", headers)
            return
        if answer.status != 304:
            headers["Content-Length"] = str(answer.end - answer.start)
            headers["Content-Type"] = _kind(self.path)
        if answer.status == 206:
            headers["Content-Range"] = f"bytes {answer.start}-{answer.end - 1}/{found.size}"
        self._begin(answer.status, headers)
        count = answer.end - answer.start if self.command == "GET" else 0
        file.seek(answer.start)
        try:
            self._copy(file, answer.start, count)
        except OSError:
            self.close_connection = True
        sent = file.tell() - answer.start
        if sent < count:
            # The file has become shorter, or the client is gone.
            self.close_connection = True
        self._tell(answer.status, sent, cut=sent < count)

    def _copy(self, file: BinaryIO, start: int, count: int) -> None:
        pace = self.server.pace
        if pace is None:
            if count:
                self.connection.sendfile(file, start, count)
            return
        for place in range(start, start + count, _PIECE):
            pace(_path(self.path), place)
            self.connection.sendfile(file, place, min(_PIECE, start + count - place))

    def _list(self, descriptor: int) -> None:
        path = _path(self.path)
        if not path.endswith("/"):
            # Relative, so that it leads to no other host.
            place = "./" + quote(unquote_to_bytes(path.rpartition("/")[2])) + "/"
            self._say(301, "this is a directory", {"Location": place})
            return
        rows = []
        with os.scandir(descriptor) as entries:
            for one in sorted(entries, key=lambda entry: entry.name):
                if not one.name.startswith("."):
                    name = one.name + ("/" if one.is_dir() else "")
                    shown = html.escape(os.fsencode(name).decode(errors="replace"))
                    rows.append(f'<li><a href="./{quote(os.fsencode(name))}">{shown}</a></li>\n')
        page = f"<!DOCTYPE html>\n<meta charset=utf-8>\n<ul>\n{''.join(rows)}</ul>\n".encode()
        self._body(200, page, {"Content-Type": "text/html; charset=utf-8"})

    def _say(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self._body(status, f"{text}\n".encode(), {"Content-Type": _TEXT, **(headers or {})})

    def _body(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self._begin(status, {"Content-Length": str(len(data)), **headers})
        if self.command != "HEAD":
            self.wfile.write(data)
        self._tell(status, 0 if self.command == "HEAD" else len(data))

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _tell(self, status: int, sent: int, *, cut: bool = False) -> None:
        self.server.log(
            Served(
                client=self.client_address[0],
                method=self.command or "-",
                path=_path(getattr(self, "path", "-")),
                status=status,
                sent=sent,
                cut=cut,
            )
        )


def _path(target: str) -> str:
    """The path of a request target, which may be a whole address (RFC 9112, 3.2.2)."""
    if not target.startswith("/"):
        with contextlib.suppress(ValueError):
            return urlsplit(target).path or "/"
    return target.partition("?")[0]


def _open(root: Path, target: str) -> int | None:
    """A file or directory below `root` that nothing hides; None when there is none."""
    parts = [part for part in unquote_to_bytes(_path(target)).split(b"/") if part]
    if any(part.startswith(b".") or b"\0" in part for part in parts):
        return None
    try:
        real = root.joinpath(*(os.fsdecode(part) for part in parts)).resolve()
        if not real.is_relative_to(root):
            return None
        mode = real.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return None
        if stat.S_ISREG(mode) and target.partition("?")[0].endswith("/"):
            return None
        # It does not wait for the other end, should it be a pipe by now.
        return os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle.
        return None


def _kind(target: str) -> str:
    name = _path(target).rpartition("/")[2]
    if "." not in name:
        return _TEXT if name == "SHA256SUMS" else "application/octet-stream"
    return _KINDS.get(name[name.rindex(".") :], "application/octet-stream")
