"""A disk's file, raw or qcow2, as the bytes that a machine would see."""

import os
from pathlib import Path

from osloom.base.errors import Error, UsageError
from osloom.model.blocks import Blocks
from osloom.model.disk_report import Report, read_disk
from osloom.model.qcow2 import MAGIC, open_qcow2

_COMPRESSED = {b"\x28\xb5\x2f\xfd": "zstd -d", b"\xfd7zX": "unxz", b"\x1f\x8b": "gunzip"}
_DEEPEST = 16
"""How many images may lie under each other."""


def inspect_disk(path: Path, *, verify: bool) -> Report:
    """What is on the disk; with `verify`, every block of its slots is read, and signatures are
    verified as far as that can be done without keys.

    Raises UsageError for a file that is no disk, and Error for what cannot be read.
    """
    if not verify:
        return read_disk(open_disk(path))
    from osloom.keys.root_hash import is_verified

    return read_disk(open_disk(path), verify=True, judge=is_verified)


def open_disk(path: Path, _depth: int = 0) -> Blocks:
    """The file stays open for as long as somebody has what this gives."""
    if _depth > _DEEPEST:
        raise Error(f"cannot read `{path}`: too many images lie under each other")
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot read `{path}` as a disk: it is no file")
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise UsageError(
            f"cannot read `{path}` as a disk: {(error.strerror or '').lower()}"
        ) from error
    plain = Blocks(
        source=lambda offset, size: os.pread(file.fileno(), size, offset),
        size=os.fstat(file.fileno()).st_size,
    )
    head = plain.read(0, min(plain.size, 4))
    for magic, command in _COMPRESSED.items():
        if head.startswith(magic):
            raise UsageError(
                f"cannot read `{path}` as a disk: it is compressed",
                hint=f"decompress it first: `{command} {path.name}`",
            )
    if head != MAGIC:
        return plain
    return open_qcow2(plain, base=lambda name: open_disk(path.parent / name, _depth + 1))
