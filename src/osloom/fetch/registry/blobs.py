"""Whether a registry has a blob, and what it takes to be allowed to ask.

distribution-spec 1.1, Checking if content exists in the registry
"""

from osloom.base.errors import FetchError
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.descriptor import Descriptor
from osloom.fetch.registry.messages import Request
from osloom.fetch.said import printable


def scopes_of(repository: str, source: str | None = None) -> tuple[str, ...]:
    """The right to push to a repository, and to mount from another one."""
    own = f"repository:{repository}:pull,push"
    return (own,) if source is None else (own, f"repository:{source}:pull")


def has_blob(client: Client, repository: str, blob: Descriptor) -> bool:
    """Raises FetchError when the registry has something else under the digest."""
    scopes = scopes_of(repository)
    request = Request(method="HEAD", url=f"/v2/{repository}/blobs/{blob.digest}", scopes=scopes)
    answer = client.ask(request)
    if answer.status == 404:
        return False
    if answer.status != 200:
        raise client.denied(answer, scopes, f"look into {client.host}/{repository}")
    size = answer.headers.get("Content-Length", str(blob.size))
    digest = answer.headers.get("Docker-Content-Digest", blob.digest)
    if size != str(blob.size) or digest != blob.digest:
        raise FetchError(
            f"cannot push to {client.host}/{repository}: for {blob.digest} of {blob.size} bytes "
            f"it has `{printable(digest)}` of {printable(size)} bytes",
            hint="the registry is damaged: whoever runs it has to look",
        )
    return True
