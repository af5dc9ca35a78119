"""A web server or S3 bucket as storage.

Redirects are followed by hand: nothing goes from TLS to plain HTTP, and what says who asks goes to
the host of the address alone. Bodies come as they are sent, never unpacked.
"""

import contextlib
import hashlib
import threading
import time
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from osloom.base.errors import FetchError
from osloom.base.numbers import to_number
from osloom.fetch.download import GoneError
from osloom.fetch.http import AddressError, Http, Response, SilentError
from osloom.fetch.retries import AGAIN, Retries, retry_after
from osloom.fetch.said import printable
from osloom.fetch.storage import web_changes
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.changed import ChangedError
from osloom.fetch.storage.signing import EMPTY, Signer, now
from osloom.fetch.trust import make_context

MISSING = (403, 404, 410)
"""What is not there. S3 says 403 to those who may not list the bucket; Nix takes it as that, too."""
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_LEAST = 1024
"""Bytes a second; a server that sends fewer for as long as it may be silent, is as good as silent."""
_PROGRESS = 64 << 10
"""Bytes after which a new trouble is a new one, and not the old one again."""
_CHUNK = 256 << 10


class Web:
    """See `storage.storage.Storage`."""

    def __init__(self, base: str, access: Access, *, signer: Signer | None = None) -> None:
        self.base = base
        self._host = urlsplit(base).netloc
        self._access = access
        self._signer = signer
        self.is_bucket = signer is not None
        """It has no directories."""
        self._stopped = threading.Event()
        self._http = Http(lambda: make_context([], access.certificates))

    def read(self, name: str, *, limit: int) -> bytes | None:
        return self.read_with_tag(name, limit=limit)[0]

    def read_with_tag(self, name: str, *, limit: int) -> tuple[bytes | None, str]:
        """A small file and its entity tag, as far as the server has given it one."""
        retries = self.retries()
        while True:
            with retries.transport(), self.asked("GET", self.url(name)) as answer:
                if answer.status in MISSING:
                    return None, ""
                if self.is_good(answer, retries):
                    return self._small(answer, limit), answer.headers.get("ETag", "")
            retries.wait()

    def stream(self, name: str, *, size: int | None) -> Generator[bytes]:
        retries = self.retries()
        have = furthest = 0
        while True:
            headers = {"Range": f"bytes={have}-"} if have else {}
            with retries.transport(), self.asked("GET", self.url(name), headers) as answer:
                if answer.status in MISSING:
                    raise GoneError(f"cannot find {self.base}/{name}")
                if self.is_good(answer, retries, *([206] if have else [])):
                    # One that does not resume sends all of it again.
                    again = 0 if answer.status == 206 else have
                    for chunk in self._chunks(answer):
                        fresh = chunk[again:] if again else chunk
                        again = max(again - len(chunk), 0)
                        have += len(fresh)
                        if have > furthest + _PROGRESS:
                            furthest = have
                            retries.moved()
                        if fresh:
                            yield fresh
                    if size is None or have >= size:
                        return
                    retries.failed(f"`{name}` ends after {have} of {size} bytes")
            retries.wait()

    def size(self, name: str) -> int | None:
        retries = self.retries()
        while True:
            with retries.transport(), self.asked("HEAD", self.url(name)) as answer:
                if answer.status in MISSING:
                    return None
                if self.is_good(answer, retries):
                    # Without a length it is there all the same.
                    return to_number(answer.headers.get("Content-Length", "")) or 0
            retries.wait()

    def names(self) -> None:
        """Servers have no common way to say, and buckets may keep it from who can write."""

    def bring(self, content: Path) -> None:
        """Nothing is sent before it is known what it is."""

    def write(self, name: str, content: bytes | Path, *, kind: str) -> None:
        web_changes.write(self, name, content, kind=kind)

    def replace(self, name: str, content: bytes, *, kind: str, old: bytes | None) -> None:
        web_changes.replace(self, name, content, kind=kind, old=old)

    def write_together(
        self, files: Mapping[str, bytes], *, kind: str, old: Mapping[str, bytes | None]
    ) -> None:
        done: list[str] = []
        try:
            for name, content in files.items():
                self.replace(name, content, kind=kind, old=old[name])
                done.append(name)
        except ChangedError:
            # Whoever came between has written the others: these belong to them.
            for name in done:
                if (before := old[name]) is not None:
                    self.replace(name, before, kind=kind, old=files[name])
            raise

    def remove(self, name: str) -> None:
        web_changes.remove(self, name)

    def hold(self) -> contextlib.AbstractContextManager[bool]:
        return contextlib.nullcontext(enter_result=False)

    def stop(self) -> None:
        self._stopped.set()
        self._http.shut()

    def close(self) -> None:
        self._http.close()

    def url(self, name: str) -> str:
        """The whole address of a file."""
        if name.startswith(("https://", "http://")):
            return name
        if name.startswith("/") or ".." in name.split("/"):
            raise FetchError(f"cannot use {self.base}: `{printable(name)}` leads out of it")
        return f"{self.base}/{name}"

    def retries(self) -> Retries:
        """For one operation."""
        return Retries(self._host, self._stopped, service=self._access.service)

    def is_good(self, answer: Response, retries: Retries, *more: int) -> bool:
        """Whether it is what was asked for. Raises FetchError where another try is in vain."""
        status = answer.status
        if status == 200 or status in more:
            return True
        if status not in AGAIN:
            hint = "check its address, and whether you may read it"
            if status == 401:
                hint = "put a name and password for it into your netrc file"
            raise FetchError(f"cannot use {self.base}: it answers with status {status}", hint=hint)
        retries.failed(f"it answers with status {status}", retry_after(answer.headers))
        return False

    def _small(self, answer: Response, limit: int) -> bytes:
        data = bytearray()
        for chunk in self._chunks(answer):
            data += chunk
            if len(data) > limit:
                raise FetchError(f"cannot use {answer.url}: it has more than {limit} bytes")
        return bytes(data)

    def _chunks(self, answer: Response) -> Iterator[bytes]:
        start, count, patience = time.monotonic(), 0, self._access.patience
        for chunk in answer.pieces():
            count += len(chunk)
            seconds = time.monotonic() - start
            if seconds > patience:
                if count < _LEAST * seconds:
                    raise SilentError("it sends next to nothing")
                start, count = time.monotonic(), 0
            yield chunk

    @contextlib.contextmanager
    def asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | Path | None = None,
    ) -> Iterator[Response]:
        """The answer to one request, redirects followed."""
        for _ in range(_MOST_REDIRECTS + 1):
            self._check(url)
            answer = self._send(method, url, headers or {}, content)
            place = answer.headers.get("Location")
            if place is None or not _is_followed(method, answer.status):
                with contextlib.closing(answer):
                    yield answer
                return
            answer.close()
            url = urljoin(url, place)
        raise FetchError(
            f"cannot use {self.base}: it sends from one place to the next without end",
            hint="check its address",
        )

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | Path | None
    ) -> Response:
        try:
            return self._http.send(
                method,
                url,
                headers={**headers, **self._identity(method, url, content)},
                content=_pieces(content) if isinstance(content, Path) else content,
                patience=self._access.patience,
            )
        except AddressError as error:
            raise FetchError(f"cannot use {self.base}: `{printable(url)}` is no address") from error

    def _identity(self, method: str, url: str, content: bytes | Path | None) -> dict[str, str]:
        if urlsplit(url)[:2] != urlsplit(self.base)[:2]:
            return {}
        if self._signer is not None:
            digest = _sha256(content)
            return self._signer.headers(method, url, content=digest, moment=now())
        login = self._access.login(urlsplit(url).hostname or "")
        if login is None:
            return {}
        return {"Authorization": "Basic " + b64encode(":".join(login).encode()).decode()}

    def _check(self, url: str) -> None:
        """A redirect may lead to another host, and not from TLS to plain HTTP."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        schemes = ("https",) if self.base.startswith("https:") else ("https", "http")
        if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
            raise FetchError(
                f"cannot use {self.base}: it sends on to `{printable(url)}`",
                hint="it must not lead from https to plain http",
            )


def _is_followed(method: str, status: int) -> bool:
    return status in (307, 308) or (status in _REDIRECTS and method in ("GET", "HEAD"))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _sha256(content: bytes | Path | None) -> str:
    if content is None:
        return EMPTY
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
