"""Layers of OCI images, honest and hostile."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Sequence

import zstandard

from osloom.base.digest import Digest, from_hex


def member(name: str, content: bytes | None = None, **fields: object) -> tarfile.TarInfo:
    """A header; a file's when it has content, else what `type` says."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    if content is not None:
        info.size = len(content)
    return info


def archive(
    *members: tuple[tarfile.TarInfo, bytes | None], kind: int = tarfile.PAX_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if content is not None else None)
    return out.getvalue()


def files(texts: dict[str, str], *others: tarfile.TarInfo) -> bytes:
    """An archive of files with these texts, then of other members without content."""
    made: Sequence[tuple[tarfile.TarInfo, bytes | None]] = [
        (member(name, text.encode()), text.encode()) for name, text in texts.items()
    ]
    return archive(*made, *((info, None) for info in others))


def directory(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    return member(name, type=tarfile.DIRTYPE, mode=mode)


def hard_link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def symlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def diff_id(layer: bytes) -> Digest:
    return from_hex(hashlib.sha256(layer).hexdigest())


def packed(layer: bytes, method: str) -> bytes:
    """The blob of a layer: `gzip`, `zstd` or `none`."""
    match method:
        case "gzip":
            return gzip.compress(layer, mtime=0)
        case "zstd":
            # Two frames, and one between them that is to be skipped, RFC 8878.
            half = len(layer) // 2
            compressor = zstandard.ZstdCompressor()
            skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"toc!"
            return compressor.compress(layer[:half]) + skipped + compressor.compress(layer[half:])
        case _:
            return layer
