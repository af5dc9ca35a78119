"""Read .deb archives, deb(5): an ar archive of `control.tar` and `data.tar`.

What a package holds is hostile until shown otherwise: names that leave the root, device nodes and
links to nowhere are refused before anything is kept.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.model.tar import read_xattrs
from osloom.model.tree import Kind, Node, Tree
from osloom.store.blobs import Blobs

_MAGIC = b"!<arch>\n"
_WHOLE = 16 << 20
"""Bytes; an archive that has fewer is read in memory."""
_LARGE = 4 << 20
"""Bytes of a file that is taken piece by piece from any other."""


class Package(msgspec.Struct, frozen=True):
    """What one .deb holds."""

    data: Tree
    """The files it installs."""
    control: Tree
    """Its control files: `control`, `md5sums`, `postinst` …"""


def read_package(file: BinaryIO, blobs: Blobs, *, name: str) -> Package:
    """Unpack a .deb into blobs and two trees. Raises BuildError naming the package."""
    import lzma

    control, data = Tree(), Tree()
    try:
        for member, content in _members(file):
            stem, _, suffix = member.partition(".tar")
            if stem == "control":
                control = _read_tar(_decompressed(content, suffix), blobs, name=name)
            elif stem == "data":
                data = _read_tar(_decompressed(content, suffix), blobs, name=name)
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise BuildError(
            f"cannot unpack {name}: {error}",
            hint="the package is broken although its digest is right: tell who made it",
        ) from error
    if "control" not in control:
        raise BuildError(f"cannot unpack {name}: it holds no control file")
    return Package(data=data, control=control)


def _members(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("not a Debian package (ar magic missing)")
    while header := file.read(60):
        if len(header) < 60 or header[58:60] != b"`\n":
            raise ValueError("damaged ar header")
        size = int(header[48:58])
        start = file.tell()
        yield header[:16].decode("ascii").strip().rstrip("/"), cast(BinaryIO, _Slice(file, size))
        file.seek(start + size + size % 2)


class _Slice(io.RawIOBase):
    """The next `size` bytes of a file, as a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _xz(source: BinaryIO) -> BinaryIO:
    import lzma

    return cast(BinaryIO, lzma.LZMAFile(source))


def _gzip(source: BinaryIO) -> BinaryIO:
    import gzip

    return cast(BinaryIO, gzip.GzipFile(fileobj=source))


def _bzip2(source: BinaryIO) -> BinaryIO:
    import bz2

    return cast(BinaryIO, bz2.BZ2File(source))


def _zstd(source: BinaryIO) -> BinaryIO:
    import zstandard

    return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(source))


# Each is loaded when a package needs it.
_DECOMPRESSORS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "": lambda source: source,
    ".gz": _gzip,
    ".xz": _xz,
    ".bz2": _bzip2,
    ".zst": _zstd,
}


def _decompressed(content: BinaryIO, suffix: str) -> BinaryIO:
    if suffix not in _DECOMPRESSORS:
        raise ValueError(f"unknown compression `{suffix}`")
    return _DECOMPRESSORS[suffix](content)


_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.FIFOTYPE: "fifo",
}


def _read_tar(source: BinaryIO, blobs: Blobs, *, name: str) -> Tree:
    head = _first(source)
    # tarfile copies what it reads from a stream several times.
    whole = memoryview(head) if len(head) < _WHOLE else None
    stream = cast(BinaryIO, _Joined(head, source)) if whole is None else io.BytesIO(head)
    nodes: dict[str, Node] = {}
    with tarfile.open(
        fileobj=stream,
        mode="r|" if whole is None else "r:",
        bufsize=1 << 16,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        for member in archive:
            path = _safe_path(member.name, name)
            if path:
                node = _node(member, name=name)
                if node.kind == "file":
                    digest = _keep(archive, member, whole, blobs)
                    node = msgspec.structs.replace(node, size=member.size, digest=digest)
                nodes[path] = node
    _check_links(nodes, name)
    return Tree(nodes)


def _first(source: BinaryIO) -> bytes:
    """As much of `source` as is kept in memory."""
    pieces, left = [], _WHOLE
    while left and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class _Joined:
    """Bytes and what follows them, to be read."""

    def __init__(self, head: bytes, source: BinaryIO) -> None:
        self._head = io.BytesIO(head)
        self._source = source

    def read(self, size: int) -> bytes:
        return self._head.read(size) or self._source.read(size)


def _safe_path(path: str, name: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise BuildError(
            f"cannot unpack {name}: the path `{path}` leaves the root",
            hint="no honest package has such a path: do not use this one",
        )
    return "/".join(parts)


def _node(member: tarfile.TarInfo, *, name: str) -> Node:
    """What a member is; of a file without its content."""
    kind = _KINDS.get(member.type)
    if kind is None:
        what = "device node" if member.isdev() else f"member of type {member.type!r}"
        raise BuildError(
            f"cannot unpack {name}: `{member.name}` is a {what}",
            hint="device nodes are made by the kernel at run time, no package needs them",
        )
    node = Node(
        kind,
        0o777 if kind == "symlink" else member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=int(member.mtime),
        target=member.linkname if kind == "symlink" else "",
        xattrs=read_xattrs(member),
    )
    if kind == "hardlink":
        return Node("hardlink", node.mode, target=_safe_path(member.linkname, name))
    return node


def _keep(
    archive: tarfile.TarFile, member: tarfile.TarInfo, whole: memoryview | None, blobs: Blobs
) -> Digest:
    """The content of a file into `blobs`; `whole` is all of the archive, where it is in memory."""
    executable = bool(member.mode & 0o111)
    if whole is not None and not member.issparse():
        data: memoryview | bytes = whole[member.offset_data : member.offset_data + member.size]
    else:
        content = archive.extractfile(member)
        assert content is not None
        if member.size > _LARGE:
            chunks = iter(lambda: content.read(1 << 20), b"")
            return blobs.add_chunks(chunks, executable=executable)
        data = content.read()
    if len(data) != member.size:
        raise EOFError(f"`{member.name}` is cut off")
    return blobs.add(data, executable=executable)


def _check_links(nodes: dict[str, Node], name: str) -> None:
    for path, node in nodes.items():
        if node.kind == "hardlink" and node.target not in nodes:
            raise BuildError(
                f"cannot unpack {name}: `{path}` is a hard link to `{node.target}`, "
                "which the package does not hold"
            )
