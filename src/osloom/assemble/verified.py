"""A file system with the hashes that it is checked against while it is read."""

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from osloom.base.digest import Digest
from osloom.base.files import mapped
from osloom.model.verity import make_verity
from osloom.store.blobs import Blobs


def add_verified(
    blobs: Blobs, path: Path, *, salt: bytes, identity: uuid.UUID
) -> Mapping[str, Digest]:
    """Move a file of whole blocks into the blobs: `root`, its `hashes` for dm-verity, and
    `root_hash` in hexadecimal digits. `salt` and `identity` as `make_verity` has them."""
    content = mapped(path)
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Both take as long, and each a processor.
        hashed = pool.submit(make_verity, [content], salt=salt, identity=identity)
        root = blobs.add_file(path)
        verity = hashed.result()
    return {
        "root": root,
        "hashes": blobs.add(verity.hashes),
        "root_hash": blobs.add(verity.root_hash.encode()),
    }
