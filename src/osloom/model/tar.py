"""A tree as a tar archive: POSIX ustar, with pax headers where ustar cannot say it, pax(1).

The bytes are a function of the tree alone. Headers are written by hand: twenty thousand of them
have to cost less than the contents.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from osloom.base.digest import Digest
from osloom.model.tree import Node, Tree, links_last

if TYPE_CHECKING:
    import tarfile

_BLOCK = 512
_RECORD = 20 * _BLOCK
_TYPES = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "dir": b"5",
    "fifo": b"6",
}
_XATTR = "SCHILY.xattr."
_GATHERED = 256 << 10
"""Bytes that are handed on at a time: whoever hashes, writes or compresses takes them at once."""
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777

Read = Callable[[Digest], Iterable[bytes]]


def write_tar(tree: Tree, read: Read) -> Iterator[bytes]:
    """The archive in pieces, few of them small; `read` gives the content of a file."""
    few: list[bytes] = []
    size = 0
    for piece in _pieces(tree, read):
        few.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield few[0] if len(few) == 1 else b"".join(few)
            few, size = [], 0
    yield b"".join(few)


def _pieces(tree: Tree, read: Read) -> Iterator[bytes]:
    total = 0
    for path, node in links_last(tree):
        if not path:
            continue
        header = _header(path, node)
        total += len(header)
        yield header
        if node.kind == "file" and node.size:
            assert node.digest is not None
            yield from read(node.digest)
            padding = -node.size % _BLOCK
            total += node.size + padding
            if padding:
                yield bytes(padding)
    end = 2 * _BLOCK
    yield bytes(end + -(total + end) % _RECORD)


def _header(path: str, node: Node) -> bytes:
    name = path.encode(errors="surrogateescape") + (b"/" if node.kind == "dir" else b"")
    target = node.target.encode(errors="surrogateescape")
    records: dict[str, bytes] = {}
    prefix, short = _split(name)
    if short is None:
        records["path"] = name
        prefix, short = b"", name[:100]
    if len(target) > 100:
        records["linkpath"] = target
        if not _is_utf8(target):
            # pax(1): without it records are UTF-8, and mke2fs stops at others.
            records["hdrcharset"] = b"BINARY"
    size = node.size if node.kind == "file" else 0
    if size > _OCTAL_11:
        records["size"] = str(size).encode()
    for key, number in (("uid", node.uid), ("gid", node.gid)):
        if number > _OCTAL_7:
            records[key] = str(number).encode()
    if not 0 <= node.mtime <= _OCTAL_11:
        records["mtime"] = str(node.mtime).encode()
    for key, value in node.xattrs:
        records[f"{_XATTR}{key}"] = value
    block = _block(
        short,
        prefix,
        kind=_TYPES[node.kind],
        mode=node.mode,
        owner=(min(node.uid, _OCTAL_7), min(node.gid, _OCTAL_7)),
        size=min(size, _OCTAL_11),
        mtime=min(max(node.mtime, 0), _OCTAL_11),
        target=target[:100],
        device=node.device,
    )
    return _extended(records) + block if records else block


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """A path as ustar's prefix and name; no name when it does not fit."""
    if len(name) <= 100:
        return b"", name
    place = name.rfind(b"/", 0, 156)
    while place > 0 and len(name) - place - 1 <= 100:
        if name[place + 1 :]:
            return name[:place], name[place + 1 :]
        place = name.rfind(b"/", 0, place)
    return b"", None


def _extended(records: dict[str, bytes]) -> bytes:
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    block = _block(b"PaxHeader", b"", kind=b"x", mode=0o644, size=len(data))
    return block + data + bytes(-len(data) % _BLOCK)


def _record(key: str, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts itself."""
    body = b" " + key.encode() + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _block(  # noqa: PLR0913  (the fields of one header)
    name: bytes,
    prefix: bytes,
    *,
    kind: bytes,
    mode: int,
    owner: tuple[int, int] = (0, 0),
    size: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(100, b"\0"),
        mode,
        owner[0],
        owner[1],
        size,
        mtime,
    )
    tail, sum_of_tail = _tail(kind, prefix, target, device)
    checksum = sum(head) + sum_of_tail + 8 * 32
    return b"%s%06o\0 %s" % (head, checksum, tail)


@functools.lru_cache(maxsize=16)
def _tail(kind: bytes, prefix: bytes, target: bytes, device: tuple[int, int]) -> tuple[bytes, int]:
    """What of a header comes behind the checksum, the same for most files; and its bytes added."""
    tail = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (
        kind,
        target.ljust(100, b"\0"),
        bytes(64),
        device[0],
        device[1],
        prefix.ljust(167, b"\0"),
    )
    return tail, sum(tail)


def read_xattrs(member: "tarfile.TarInfo") -> tuple[tuple[str, bytes], ...]:
    """Extended attributes as GNU tar and bsdtar write them into pax headers, sorted."""
    return tuple(
        sorted(
            (key.removeprefix(_XATTR), value.encode(errors="surrogateescape"))
            for key, value in member.pax_headers.items()
            if key.startswith(_XATTR)
        )
    )
