"""An S3 server on loopback that keeps objects in memory and looks at every signature.

It computes them from what it received, by the description of AWS Signature Version 4 and with no
code of osloom's: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import http.server
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

KEY = "AKIAEXAMPLE"
SECRET = "a/secret+key"
_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


class S3(http.server.ThreadingHTTPServer):
    """`objects` by `/BUCKET/KEY`; `refused` counts requests that were not signed right.

    `changes` has `METHOD PATH` of each PUT and DELETE; `before` is called with it before that is
    done.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.refused = 0
        self.changes: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.guard = threading.Lock()
        self.forbidden = ""
        """A method that its policy does not allow."""
        self._open = 0
        self._closed = threading.Condition()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def settle(self) -> None:
        """Wait until whatever clients now gone have sent is done."""
        with self._closed:
            assert self._closed.wait_for(lambda: self._open == 0, timeout=60)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._closed:
            self._open += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._closed:
            self._open -= 1
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def s3() -> Iterator[S3]:
    server = S3()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, data: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.command in ("GET", "HEAD") and status == 200:
            self.send_header("ETag", _tag(data))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._is_signed(body):
            self.server.refused += 1
            self._answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif self.command == self.server.forbidden:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif self.command in ("PUT", "DELETE"):
            change = f"{self.command} {self.path}"
            self.server.before(change)
            with self.server.guard:
                self.server.changes.append(change)
                self._change(body)
        elif self.path in self.server.objects:
            self._answer(200, self.server.objects[self.path])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_DELETE = _any  # noqa: N815

    def _change(self, body: bytes) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
        objects = self.server.objects
        if self.command == "DELETE":
            objects.pop(self.path, None)
            self._answer(204)
            return
        there = objects.get(self.path)
        wanted = self.headers.get("If-Match")
        if wanted is not None and there is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif (self.headers.get("If-None-Match") == "*" and there is not None) or (
            wanted is not None and there is not None and wanted != _tag(there)
        ):
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            objects[self.path] = body
            self._answer(200)

    def _is_signed(self, body: bytes) -> bool:
        found = _FORM.fullmatch(self.headers.get("Authorization", ""))
        digest = hashlib.sha256(body).hexdigest()
        if found is None or self.headers["x-amz-content-sha256"] != digest or found[1] != KEY:
            return False
        _, day, region, names, signature = found.groups()
        path, _, query = self.path.partition("?")
        lines = [self.command, path, "&".join(sorted(query.split("&")))]
        lines += [f"{name}:{self.headers[name].strip()}" for name in names.split(";")]
        lines += ["", names, digest]
        request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        stamp = self.headers["x-amz-date"]
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/{region}/s3/aws4_request\n{request}"
        key = b"AWS4" + SECRET.encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        wanted = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return signature == wanted and {"host", "x-amz-date"} <= set(names.split(";"))


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def address(bucket: S3, prefix: str = "gateway") -> str:
    """Of a channel in it."""
    return f"s3://releases/{prefix}?endpoint={bucket.address}&scheme=http"


def names_at(bucket: S3) -> set[str]:
    """Of all files, without where they are."""
    return {path.rpartition("/")[2] for path in bucket.objects}
