"""Results of steps, by key: which blobs a step made.

A result is trusted when it was recorded since this machine started: then everything it names was
written by a rename that this kernel still knows. One that is older is checked once, because blobs
are not synced and a power cut may have left some of them empty; a result that does not hold is a
miss.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes, from_hex, to_hex
from osloom.base.files import sha256_sparse, write_atomic
from osloom.model.tree import MAGIC, decode
from osloom.store.blobs import Blobs, store_error


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a step made."""

    outputs: dict[str, Digest]
    seconds: float = 0.0
    """How long it took."""
    facts: dict[str, str | int] = {}
    """Small values that later steps or people want: a root hash, a size."""
    boot: str = ""
    """The boot of the machine in which it was written."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Result)


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


class Results:
    """See the module."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self.root = root
        self._blobs = blobs
        self._boot = boot_id()

    def _place(self, key: Digest) -> Path:
        name = to_hex(key)
        return self.root / name[:2] / name[2:]

    def find(self, key: Digest) -> Result | None:
        """The result, or None when there is none or what it names is gone or damaged."""
        place = self._place(key)
        try:
            result = _decoder.decode(place.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        if any(self._blobs.find(digest) is None for digest in result.outputs.values()):
            return None
        if result.boot != self._boot:
            if not all(self._holds(digest) for digest in result.outputs.values()):
                return None
            with contextlib.suppress(OSError):
                self._write(key, msgspec.structs.replace(result, boot=self._boot))
        return result

    def save(
        self,
        key: Digest,
        outputs: Mapping[str, Digest],
        *,
        seconds: float = 0.0,
        facts: Mapping[str, str | int] | None = None,
    ) -> Result:
        result = Result(
            outputs=dict(outputs), seconds=seconds, facts=dict(facts or {}), boot=self._boot
        )
        try:
            self._write(key, result)
        except OSError as error:
            raise store_error("write to", self.root.parent, error) from error
        return result

    def touch(self, key: Digest) -> None:
        """Mark as used now, for `prune`."""
        with contextlib.suppress(OSError):
            os.utime(self._place(key))

    def all(self) -> Iterator[tuple[Path, Result]]:
        for path in sorted(self.root.glob("??/*")):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                yield path, _decoder.decode(path.read_bytes())

    def _write(self, key: Digest, result: Result) -> None:
        write_atomic(self._place(key), _encoder.encode(result), sync=False)

    def _holds(self, digest: Digest) -> bool:
        """Whether a blob is whole; of a tree, whether its files have the right sizes."""
        path = self._blobs.find(digest)
        if path is None:
            return False
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        data = path.read_bytes() if head == MAGIC else None
        if data is None:
            return from_hex(sha256_sparse(path)) == digest
        if digest_bytes(data) != digest:
            return False
        return all(
            self._blobs.size(node.digest) == node.size
            for node in decode(data).values()
            if node.digest is not None
        )
