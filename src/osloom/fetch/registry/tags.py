"""The tags of a repository: distribution-spec 1.1, Listing Tags."""

import re
from urllib.parse import urljoin

import msgspec

from osloom.base.errors import FetchError
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.messages import Request

_MOST = 4 << 20
"""Bytes of one page."""
_MOST_PAGES = 1000
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?", re.IGNORECASE)


class _Page(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None


def list_tags(client: Client, repository: str, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """All tags, as the registry orders them; none where there is no such repository."""
    found: list[str] = []
    url = f"/v2/{repository}/tags/list"
    for _ in range(_MOST_PAGES):
        answer = client.ask(Request(method="GET", url=url, scopes=scopes), limit=_MOST)
        if answer.status == 404:
            return tuple(found)
        if answer.status != 200:
            raise client.denied(answer, scopes, f"list the tags of {client.host}/{repository}")
        try:
            found += msgspec.json.decode(answer.body, type=_Page).tags or ()
        except msgspec.DecodeError as error:
            raise FetchError(
                f"cannot list the tags of {client.host}/{repository}: {error}"
            ) from error
        following = _NEXT.search(answer.headers.get("Link", ""))
        if following is None:
            return tuple(found)
        url = urljoin(answer.url, following[1])
    raise FetchError(f"cannot list the tags of {client.host}/{repository}: there is no end of them")
