"""Fetch what steps need of locked base images, by digest."""

from collections.abc import Collection, Iterable, Iterator

from osloom.base.digest import Digest
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor
from osloom.model.definition import Definition
from osloom.model.lock import Base
from osloom.sources.oci.manifest import CONFIG
from osloom.sources.oci.origins import open_origins
from osloom.store.store import Store


def fetch_bases(
    store: Store,
    bases: Iterable[Base],
    missing: Collection[Digest],
    definition: Definition,
    *,
    report: Reporter,
) -> None:
    """Bring those blobs of `bases` that are `missing`. Raises FetchError."""
    with open_origins(definition) as origins:
        for base in bases:
            wanted = [one for one in _blobs(base) if one.digest in missing]
            if not wanted:
                continue
            origin = origins.find(base.reference)
            for one in wanted:
                origin.fetch(store, one, report)


def _blobs(base: Base) -> Iterator[Descriptor]:
    yield Descriptor(media_type=CONFIG, digest=base.config, size=base.config_size)
    for layer in base.layers:
        yield Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
