"""Fetch what steps need of locked base images, by digest."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from osloom.base.digest import Digest
from osloom.base.errors import FetchError
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor
from osloom.model.definition import Definition
from osloom.model.lock import Base
from osloom.sources.oci.manifest import CONFIG
from osloom.sources.oci.origins import open_origins
from osloom.store.store import Store

_WORKERS = 4


def fetch_bases(
    store: Store,
    bases: Iterable[Base],
    missing: Collection[Digest],
    definition: Definition,
    *,
    directory: Path,
    report: Reporter,
) -> None:
    """Bring those blobs of `bases` that are `missing`. Raises FetchError."""
    # In this order: what fails first closes the connections, and so ends the other threads.
    with (
        ThreadPoolExecutor(max_workers=_WORKERS) as pool,
        open_origins(definition, directory) as origins,
    ):
        coming: list[tuple[Base, Future[None]]] = []
        for base in bases:
            wanted = [one for one in _blobs(base) if one.digest in missing]
            if wanted:
                origin = origins.find(base.reference)
                coming += [(base, pool.submit(origin.fetch, store, one, report)) for one in wanted]
        for base, future in coming:
            try:
                future.result()
            except FetchError as error:
                raise FetchError(
                    f"cannot fetch `{base.reference}`: {error.message}",
                    hint=error.hint
                    or "when the registry has lost it, push it again or run `osloom lock --upgrade`",
                ) from error


def _blobs(base: Base) -> Iterator[Descriptor]:
    yield Descriptor(media_type=CONFIG, digest=base.config, size=base.config_size)
    for layer in base.layers:
        yield Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
