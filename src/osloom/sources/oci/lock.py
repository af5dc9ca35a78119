"""Lock base images: what their references name today, for one platform each."""

from pathlib import Path

import msgspec

from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor
from osloom.model.definition import Definition
from osloom.model.lock import Base, Lock, base_id
from osloom.sources.debian.lock import Previous
from osloom.sources.oci.manifest import check_manifest, choose, layers_of
from osloom.sources.oci.origins import Origin, open_origins
from osloom.store.store import Store

_MOST_INDEXES = 2
"""Layouts have one around the list of platforms."""


def lock_bases(
    lock: Lock,
    store: Store,
    definition: Definition,
    *,
    directory: Path,
    previous: Previous | None,
    report: Reporter,
) -> Lock:
    """`lock` with the base images of the definition; those of `previous` stay if they may.

    Raises LockError for what cannot be a base, and FetchError for what does not come.
    """
    known = {base.id: base for base in previous.lock.bases} if previous else {}
    bases: dict[str, Base] = {}
    images = dict(lock.images)
    with open_origins(definition, directory) as origins:
        variants = [
            pair
            for name, image in definition.image.items()
            for pair in image.variants(name).items()
        ]
        for name, image in variants:
            if image.base is None:
                continue
            architecture = images[name].architecture
            identity = base_id(image.base, architecture)
            old = known.get(identity)
            if identity not in bases:
                if old is not None and not _may_change(image.base, previous):
                    bases[identity] = old
                else:
                    origin = origins.find(image.base)
                    new = _resolve(origin, image.base, architecture, store, report)
                    # A list that changed for other platforms is no change of this one.
                    same = old is not None and old.manifest == new.manifest
                    bases[identity] = old if same and old else new
            images[name] = msgspec.structs.replace(images[name], base=identity)
    return msgspec.structs.replace(
        lock, images=images, bases=tuple(bases[identity] for identity in sorted(bases))
    )


def _may_change(reference: str, previous: Previous | None) -> bool:
    return previous is None or previous.upgrade_all or reference in previous.upgrade


def _resolve(
    origin: Origin, reference: str, architecture: str, store: Store, report: Reporter
) -> Base:
    what = f"the base `{reference}`"
    found = origin.manifest()
    index = found.digest if found.is_index else None
    for _ in range(_MOST_INDEXES):
        if found.is_index:
            found = origin.manifest(choose(found.index(), architecture, what=what))
    manifest = found.image()
    check_manifest(manifest, what=what)
    config: Descriptor = manifest.config
    origin.fetch(store, config, report)
    return Base(
        reference=reference,
        architecture=architecture,
        index=index,
        manifest=found.digest,
        config=config.digest,
        config_size=config.size,
        layers=layers_of(manifest, store.blobs.read(config.digest), architecture, what=what),
    )
