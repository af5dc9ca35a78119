"""Writing to a web server or bucket, where others may write at the same time.

`If-Match` and `If-None-Match` (RFC 9110, 13.1) make a write depend on what is there. S3 has both
for PutObject; a server that has neither is asked what is there just before the write.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from osloom.base.errors import FetchError
from osloom.fetch.storage.changed import ChangedError

if TYPE_CHECKING:
    from osloom.fetch.storage.web import Web

_DONE = (200, 201, 202, 204)
_NO_PARENT = (404, 409, 500)
"""Of a PUT below a collection that is not there: 409 by RFC 4918 9.7.1, 500 by nginx."""
_MOST = 64 << 20
"""Bytes of a file that is compared."""


def write(
    web: "Web",
    name: str,
    content: bytes | Path,
    *,
    kind: str,
    condition: Mapping[str, str] | None = None,
) -> bool:
    """Send a file; no when `condition` did not hold. Raises FetchError."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    wanted = dict(condition or {})
    retries = web.retries()
    asked_for_parents = web.is_bucket
    while True:
        headers = {"Content-Length": str(size), "Content-Type": kind, **wanted}
        with (
            retries.transport(),
            web.asked("PUT", web.url(name), headers, content) as answer,
        ):
            status = answer.status
            if status in _DONE:
                return True
            if status == 412 or (status == 404 and "If-Match" in wanted):
                return False
            if status in _NO_PARENT and not asked_for_parents:
                asked_for_parents = True
                _make_collections(web, name)
                continue
            if status == 501 and wanted:
                wanted = {}
                continue
            if status == 409 and wanted:
                # S3: a write of another client was under way.
                retries.failed("others write to it at the same time")
            elif status in (403, 404, 405, 409, 410, 501):
                raise _refused(web, "write", name, status, "takes PUT, and that you may write to")
            else:
                web.is_good(answer, retries)
        retries.wait()


def replace(web: "Web", name: str, content: bytes, *, kind: str, old: bytes | None) -> None:
    """See `storage.storage.Storage`."""
    there, tag = web.read_with_tag(name, limit=_MOST)
    if there != old:
        raise ChangedError(f"{web.base}/{name}")
    if old is None:
        condition = {"If-None-Match": "*"}
    else:
        # A weak tag does not tell bytes apart.
        condition = {"If-Match": tag} if tag.startswith('"') else {}
    if write(web, name, content, kind=kind, condition=condition):
        return
    # It may be what was sent before, when the answer was lost.
    if web.read(name, limit=_MOST) != content:
        raise ChangedError(f"{web.base}/{name}")


def remove(web: "Web", name: str) -> None:
    """See `storage.storage.Storage`."""
    retries = web.retries()
    while True:
        with retries.transport(), web.asked("DELETE", web.url(name)) as answer:
            status = answer.status
            if status in (*_DONE, 404, 410):
                return
            if status in (403, 405, 501):
                raise _refused(web, "remove", name, status, "takes DELETE, and that you may use")
            web.is_good(answer, retries)
        retries.wait()


def _make_collections(web: "Web", name: str) -> None:
    """The directories above a file, the highest first (RFC 4918, 9.3); those that are there stay."""
    parts = urlsplit(web.url(name))
    *above, _ = parts.path.strip("/").split("/")
    for count in range(1, len(above) + 1):
        path = f"/{'/'.join(above[:count])}/"
        retries = web.retries()
        with retries.transport(), web.asked("MKCOL", urlunsplit(parts._replace(path=path))):
            pass


def _refused(web: "Web", verb: str, name: str, status: int, needs: str) -> FetchError:
    return FetchError(
        f"cannot {verb} {web.base}/{name}: it answers with status {status}",
        hint=f"see that it {needs} it",
    )
