"""A registry: what it holds, by tag and by digest.

https://github.com/opencontainers/distribution-spec, version 1.1
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from osloom.base.digest import Digest, is_digest
from osloom.base.errors import FetchError
from osloom.base.numbers import to_number
from osloom.base.progress import Reporter
from osloom.fetch.registry import downloads, uploads
from osloom.fetch.registry.blobs import has_blob, scopes_of
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.descriptor import (
    INDEXES,
    LARGEST_MANIFEST,
    MANIFESTS,
    Descriptor,
    Manifest,
    make_manifest,
)
from osloom.fetch.registry.messages import Answer, Request
from osloom.fetch.registry.tags import list_tags
from osloom.fetch.said import printable
from osloom.store.store import Store

_ACCEPT = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}


@contextlib.contextmanager
def open_registry(
    host: str, *, insecure: bool = False, ca: Path | None = None
) -> Iterator["Registry"]:
    """A registry for as long as the block lasts; nothing is asked before it is used.

    `host` is that of a `Reference`, with its port. `insecure` allows plain HTTP. `ca` is a file of
    certificates to trust beside those of the system; `OSLOOM_REGISTRY_CA` by default.
    """
    client = Client(host, insecure=insecure, ca=ca)
    try:
        yield Registry(client)
    except BaseException:
        client.stop()
        raise
    finally:
        client.close()


class Registry:
    """See the module. For any number of threads."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def resolve(
        self, repository: str, reference: str, *, actions: str = "pull"
    ) -> Descriptor | None:
        """What a tag or a digest stands for, by one HEAD request; None when there is no such.

        `actions` is what else the repository will be used for: one token then does for all.
        """
        answer = self._ask("HEAD", repository, reference, actions)
        if answer.status == 404:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        size = to_number(answer.headers.get("Content-Length", ""))
        if not digest or size is None:
            return self.manifest(repository, reference).descriptor
        if not is_digest(digest) or (is_digest(reference) and digest != reference):
            raise self._lie(repository, reference, digest)
        return Descriptor(media_type=_media_type(answer), digest=Digest(digest), size=size)

    def tags(self, repository: str, *, actions: str = "pull") -> tuple[str, ...]:
        """All tags of a repository; none where there is no such."""
        return list_tags(self.client, repository, (f"repository:{repository}:{actions}",))

    def manifest(self, repository: str, reference: str) -> Manifest:
        """A manifest or an index, by tag or digest, of at most 4 MiB.

        Raises FetchError when there is none, or when it is not what was asked for.
        """
        answer = self._ask("GET", repository, reference, "pull")
        name = self._name(repository, reference)
        if answer.status == 404:
            raise FetchError(
                f"cannot find {name}", hint="check its spelling, and whether it is private"
            )
        if len(answer.body) > LARGEST_MANIFEST:
            raise FetchError(f"cannot use {name}: its manifest has more than 4 MiB")
        made = make_manifest(answer.body, _media_type(answer))
        said = answer.headers.get("Docker-Content-Digest", made.digest)
        wanted = reference if is_digest(reference) else said
        if made.digest != wanted:
            raise self._lie(repository, wanted, made.digest)
        return made

    def fetch_blob(
        self, store: Store, repository: str, descriptor: Descriptor, report: Reporter
    ) -> None:
        """Bring a blob into the store by its digest: verified, and resumed when it was cut off."""
        downloads.fetch_blob(self.client, store, repository, descriptor, report)

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        """Raises FetchError when the registry has something else under the digest."""
        return has_blob(self.client, repository, blob)

    def push_blob(
        self,
        repository: str,
        blob: Descriptor,
        path: Path,
        *,
        source: str | None,
        report: Reporter,
    ) -> uploads.How:
        """Mount a blob from the repository `source`, or send the file `path`; then it is there."""
        return uploads.push_blob(self.client, repository, blob, path, source=source, report=report)

    def push_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Put it under a tag or its digest; what it names has to be there.

        Raises FetchError when the registry does not take it, or then has something else.
        """
        scopes = scopes_of(repository)
        name = self._name(repository, reference)
        request = Request(
            method="PUT",
            url=f"/v2/{repository}/manifests/{reference}",
            scopes=scopes,
            headers={"Content-Type": manifest.media_type},
            content=manifest.data,
        )
        answer = self.client.ask(request)
        if answer.status not in (200, 201, 202):
            raise self.client.denied(answer, scopes, f"push {name}")
        said = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if said != manifest.digest:
            raise FetchError(
                f"cannot push {name}: for {manifest.digest} the registry kept {printable(said)}",
                hint="the registry is damaged, or something on the way to it: do not use it",
            )

    def _ask(self, method: str, repository: str, reference: str, actions: str) -> Answer:
        scopes = (f"repository:{repository}:{actions}",)
        request = Request(
            method=method,
            url=f"/v2/{repository}/manifests/{reference}",
            scopes=scopes,
            headers=_ACCEPT,
        )
        answer = self.client.ask(request, limit=LARGEST_MANIFEST)
        if answer.status not in (200, 404):
            doing = f"read {self._name(repository, reference)}"
            raise self.client.denied(answer, scopes, doing)
        return answer

    def _name(self, repository: str, reference: str) -> str:
        mark = "@" if is_digest(reference) else ":"
        return f"{self.client.host}/{repository}{mark}{reference}"

    def _lie(self, repository: str, wanted: str, found: str) -> FetchError:
        return FetchError(
            f"cannot use {self._name(repository, wanted)}: "
            f"the registry gives `{printable(found)}` for it",
            hint="the registry holds something else than it says: do not use it",
        )


def _media_type(answer: Answer) -> str:
    text: str = answer.headers.get("Content-Type", "")
    return text.partition(";")[0].strip()
