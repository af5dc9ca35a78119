"""Blobs and manifests into a registry: skipped, mounted, or sent, in chunks and resumed.

distribution-spec 1.1, Push. Nothing counts as there before the registry says so when asked.
"""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode, urljoin

import msgspec

from osloom.base.errors import FetchError
from osloom.base.numbers import to_number
from osloom.base.progress import Event, Reporter
from osloom.fetch.http import TransportError
from osloom.fetch.registry.blobs import has_blob, scopes_of
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.descriptor import Descriptor
from osloom.fetch.registry.messages import Answer, Request
from osloom.fetch.retries import AGAIN, Retries, retry_after
from osloom.fetch.said import printable

How = Literal["sent", "mounted"]

_READ = 1 << 20
_CHUNK = 32 << 20
"""Bytes of one PATCH; what is smaller is sent at once: not every registry knows chunks."""
_PATIENCE = 300.0
"""Seconds: a registry may move a blob of gigabytes to its place before it answers."""
_UPLOAD_TRIES = 4
"""Times that one blob is begun."""


class _Session(msgspec.Struct, kw_only=True):
    """An upload that has begun."""

    url: str
    offset: int = 0
    least: int = 0
    """Bytes that a chunk has to have, but for the last."""


class _BrokenError(Exception):
    """The upload has to begin anew."""


def push_blob(
    client: Client,
    repository: str,
    blob: Descriptor,
    path: Path,
    *,
    source: str | None,
    report: Reporter,
) -> How:
    """Mount a blob from the repository `source`, if there is one and it has it, or send `path`.

    Raises FetchError when it cannot be shown to be there afterwards.
    """
    event_id = f"push {blob.digest} {repository}"
    title = f"push {blob.digest[7:19]} to {client.host}/{repository}"
    start = time.monotonic()
    report(Event(kind="started", id=event_id, title=title, group="push", total=blob.size))

    def moved(count: int) -> None:
        report(Event(kind="advanced", id=event_id, group="push", amount=count))

    try:
        how = _Upload(client, repository, blob, path, moved).run(source)
    except BaseException:
        report(Event(kind="failed", id=event_id, title=title, group="push"))
        raise
    seconds = time.monotonic() - start
    report(Event(kind="finished", id=event_id, title=title, group="push", seconds=seconds))
    return how


class _Upload:
    """One blob on its way."""

    def __init__(
        self,
        client: Client,
        repository: str,
        blob: Descriptor,
        path: Path,
        moved: Callable[[int], None],
    ) -> None:
        self._client = client
        self._repository = repository
        self._blob = blob
        self._path = path
        self._moved = moved
        self._chunks = blob.size > _CHUNK
        self._doing = f"push {blob.digest} to {client.host}/{repository}"

    def run(self, source: str | None) -> How:
        problem = "nothing was tried"
        for _ in range(_UPLOAD_TRIES):
            session = self._begin(source)
            if session is None:
                self._confirm()
                return "mounted"
            try:
                self._send(session)
                self._confirm()
            except _BrokenError as error:
                problem = str(error)
                # The last answer may have been lost on its way.
                if has_blob(self._client, self._repository, self._blob):
                    return "sent"
            else:
                return "sent"
        raise FetchError(
            f"cannot {self._doing}: {problem}", hint="run it again: what is there is not sent again"
        )

    def _begin(self, source: str | None) -> _Session | None:
        """A new upload, or None where the blob was mounted."""
        answer = self._ask_to_mount(source) if source is not None else None
        if answer is not None and answer.status == 201:
            return None
        if answer is None or answer.status != 202:
            answer = self._post("", scopes_of(self._repository))
        if answer.status != 202 or "Location" not in answer.headers:
            raise self._client.denied(answer, scopes_of(self._repository), self._doing)
        least = to_number(answer.headers.get("OCI-Chunk-Min-Length", ""))
        return _Session(url=_location(answer), least=least or 0)

    def _ask_to_mount(self, source: str) -> Answer | None:
        """Not every token server lets everyone read everything: then it is sent."""
        query = f"?{urlencode({'mount': self._blob.digest, 'from': source})}"
        try:
            return self._post(query, scopes_of(self._repository, source))
        except FetchError:
            return None

    def _post(self, query: str, scopes: tuple[str, ...]) -> Answer:
        url = f"/v2/{self._repository}/blobs/uploads/{query}"
        headers = {"Content-Length": "0"}
        return self._client.ask(Request(method="POST", url=url, scopes=scopes, headers=headers))

    def _send(self, session: _Session) -> None:
        if self._chunks:
            self._send_chunks(session)
        answer = self._finish(session)
        if answer.status != 201:
            raise self._refusal(answer)
        said = answer.headers.get("Docker-Content-Digest", self._blob.digest)
        if said != self._blob.digest:
            raise FetchError(
                f"cannot {self._doing}: the registry says that it got {printable(said)}",
                hint="the registry is damaged, or something on the way to it: do not use it",
            )

    def _send_chunks(self, session: _Session) -> None:
        """Everything, in pieces; what fails goes on from where the registry says that it is."""
        retries = self._client.retries()
        while session.offset < self._blob.size:
            before = session.offset
            with retries.transport():
                self._send_chunk(session, retries)
                if session.offset > before:
                    retries.moved()
                    continue
            retries.wait()
            self._look(session)

    def _send_chunk(self, session: _Session, retries: Retries) -> None:
        start = session.offset
        end = min(start + max(_CHUNK, session.least), self._blob.size)
        headers = {"Content-Range": f"{start}-{end - 1}"}
        answer = self._put_once("PATCH", session.url, start, end, headers)
        if answer.status in (202, 204):
            session.url = _location(answer) if "Location" in answer.headers else session.url
            session.offset = _reached(answer, end)
            if not start <= session.offset <= end:
                raise _BrokenError("the registry lost what was sent")
            if session.offset == start:
                retries.failed("it takes nothing of what is sent")
        elif answer.status in AGAIN or answer.status == 416:
            retries.failed(f"it answered with status {answer.status}", retry_after(answer.headers))
        elif answer.status in (400, 404, 405, 411, 413, 501) and start == 0:
            self._chunks = False
            raise _BrokenError("it does not take chunks")
        else:
            raise self._refusal(answer)

    def _look(self, session: _Session) -> None:
        """Ask how far the upload is."""
        answer = self._client.ask(
            Request(method="GET", url=session.url, scopes=scopes_of(self._repository))
        )
        if answer.status not in (200, 202, 204):
            raise _BrokenError(f"the upload is gone, status {answer.status}")
        reached = _reached(answer, 0)
        # Backwards is not on: a registry that forgets what it took would be sent it without end.
        if not session.offset <= reached <= self._blob.size:
            raise _BrokenError("the registry lost what was sent")
        session.offset = reached
        session.url = _location(answer) if "Location" in answer.headers else session.url

    def _finish(self, session: _Session) -> Answer:
        """Send what is left; when that breaks it is not sent again: the upload may be over."""
        url = _with_digest(session.url, self._blob.digest)
        try:
            answer = self._put_once("PUT", url, session.offset, self._blob.size, {})
        except TransportError as error:
            raise self._broken(str(error) or type(error).__name__) from error
        if answer.status in AGAIN:
            raise self._broken(f"status {answer.status}", retry_after(answer.headers))
        return answer

    def _broken(self, problem: str, least: float = 0.0) -> _BrokenError:
        self._client.stopped.wait(min(max(least, 0.5), 60))
        return _BrokenError(f"the connection broke: {problem}")

    def _put_once(
        self, method: str, url: str, start: int, end: int, headers: dict[str, str]
    ) -> Answer:
        request = Request(
            method=method,
            url=url,
            scopes=scopes_of(self._repository),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(end - start),
                **headers,
            },
            content=lambda: self._read(start, end),
            patience=_PATIENCE,
        )
        return self._client.ask_once(request)

    def _read(self, start: int, end: int) -> Iterable[bytes]:
        with self._path.open("rb") as file:
            file.seek(start)
            while start < end:
                data = file.read(min(_READ, end - start))
                if not data:
                    raise FetchError(
                        f"cannot {self._doing}: {self._path} became shorter",
                        hint="run it again, while nothing else builds",
                    )
                if self._client.stopped.is_set():
                    raise FetchError(f"cannot {self._doing}: stopped")
                yield data
                start += len(data)
                self._moved(len(data))

    def _refusal(self, answer: Answer) -> Exception:
        # Wrong digest, wrong range, no such upload: another try from the start may go well.
        if answer.status in (400, 404, 416):
            said = self._client.denied(answer, (), self._doing).message
            return _BrokenError(said.partition(": ")[2])
        return self._client.denied(answer, scopes_of(self._repository), self._doing)

    def _confirm(self) -> None:
        for pause in (0.0, 0.5, 2.0):
            self._client.stopped.wait(pause)
            if has_blob(self._client, self._repository, self._blob):
                return
        raise FetchError(
            f"cannot {self._doing}: the registry took it and does not have it",
            hint="the registry is damaged: whoever runs it has to look",
        )


def _location(answer: Answer) -> str:
    return urljoin(answer.url, str(answer.headers["Location"]))


def _with_digest(url: str, digest: str) -> str:
    return url + ("&" if "?" in url else "?") + urlencode({"digest": digest})


def _reached(answer: Answer, otherwise: int) -> int:
    """Bytes that the registry has: `Range: 0-99` is a hundred.

    `0-0` is said of nothing as well as of one byte; no one cuts after one.
    """
    found = re.fullmatch(r"(?:bytes=)?0-([0-9]{1,18})", answer.headers.get("Range", ""))
    if not found:
        return otherwise
    return int(found[1]) + 1 if int(found[1]) else 0
