"""Read the layers of base images: archives that anybody may have made.

https://github.com/opencontainers/image-spec/blob/main/layer.md

What no honest layer holds is refused: names that leave the root, a path twice, sizes that no disk
has. What a layer may hold and means harm elsewhere (device nodes, links out of the root) is data
here: nothing is made of it on this machine but a tree.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from typing import BinaryIO, cast

import msgspec

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import BuildError
from osloom.model.tar import read_xattrs
from osloom.model.tree import Kind, Node, Tree, parents
from osloom.store.blobs import Blobs

_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
_METADATA = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_MOST_METADATA = 1 << 20
"""Bytes that say something about one member; Linux allows 64 KiB for each extended attribute."""
_MOST_MEMBERS = 2_000_000
_PATH_MAX = 4096
_NAME_MAX = 255
_SMALL = 1 << 22
_CHUNK = 1 << 20


def read_layer(file: BinaryIO, blobs: Blobs, *, limit: int, diff_id: Digest) -> Tree:
    """The layer in `file`, which unpacks to at most `limit` bytes, with its whiteouts as they are.

    Compressed by gzip, zstd or not at all, whatever its media type says: so engines read it too.
    Raises BuildError for what is damaged, hostile, or something else than `diff_id`.
    """
    measured = _Measured(_decompressed(file), limit=limit)
    try:
        tree = _read_tar(cast(BinaryIO, measured), blobs, limit=limit)
        while measured.read(_CHUNK):
            pass
    except _damage() as error:
        raise BuildError(str(error) or type(error).__name__) from error
    if measured.digest != diff_id:
        raise BuildError(
            f"it holds {measured.digest}, and the image's configuration says {diff_id}",
            hint="do not use this image: who made it has to mend it",
        )
    return tree


def _damage() -> tuple[type[Exception], ...]:
    """How readers say that what they read is broken, or made to break them."""
    import zstandard

    archive = (tarfile.TarError, ValueError, OverflowError, RecursionError)
    return (*archive, OSError, EOFError, zlib.error, zstandard.ZstdError)


def _decompressed(file: BinaryIO) -> BinaryIO:
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    # A frame, or one to be skipped, RFC 8878: some tools put an index into those.
    if magic == b"\x28\xb5\x2f\xfd" or (magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5):
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return cast(BinaryIO, reader)
    return file


class _Measured(io.RawIOBase):
    """Hashes what is read, and ends it when it is more than `limit` bytes."""

    def __init__(self, source: BinaryIO, *, limit: int) -> None:
        super().__init__()
        self._source = source
        self._hash = hashlib.sha256()
        self._count = 0
        self._limit = limit

    @property
    def digest(self) -> Digest:
        return from_hex(self._hash.hexdigest())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._source.read(len(view))
        view[: len(data)] = data
        self._hash.update(data)
        self._count += len(data)
        if self._count > self._limit:
            raise BuildError(
                f"it unpacks to more than {self._limit} bytes, out of all proportion to its size"
            )
        return len(data)


class _Member(tarfile.TarInfo):
    """A header; Python's own reader takes some that are damaged for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        if buf and (len(buf) < tarfile.BLOCKSIZE or buf.count(0) < tarfile.BLOCKSIZE):
            try:
                found = super().frombuf(buf, encoding, errors)
            except tarfile.HeaderError as error:
                raise BuildError(f"its archive is damaged: {error}") from error
            if found.size < 0 or (found.type in _METADATA and found.size > _MOST_METADATA):
                raise BuildError(f"`{found.name}` has a header of {found.size} bytes")
            return found
        return super().frombuf(buf, encoding, errors)


class _Reading(msgspec.Struct):
    blobs: Blobs
    left: int
    """Bytes that files may still have."""
    nodes: dict[str, Node] = {}
    directories: set[str] = set()
    """What has something below it."""


def _read_tar(source: BinaryIO, blobs: Blobs, *, limit: int) -> Tree:
    reading = _Reading(blobs, limit)
    with tarfile.open(
        fileobj=source,
        mode="r|",
        bufsize=1 << 16,
        encoding="utf-8",
        errors="surrogateescape",
        tarinfo=_Member,
    ) as archive:
        while (member := archive.next()) is not None:
            # It would remember every one.
            archive.members = []  # type: ignore[attr-defined]
            path = _safe_path(member.name)
            if path:
                _keep(reading, path, _node(archive, member, reading))
            if len(reading.nodes) > _MOST_MEMBERS:
                raise BuildError(f"it holds more than {_MOST_MEMBERS} paths")
    return Tree(reading.nodes)


def _keep(reading: _Reading, path: str, node: Node) -> None:
    """Of paths that are there twice some readers take the first and some the last: refused."""
    there = reading.nodes.get(path)
    if there is not None and not there.kind == node.kind == "dir":
        raise BuildError(f"`/{path}` is in it twice")
    if node.kind != "dir" and path in reading.directories:
        raise BuildError(f"`/{path}` is a {node.kind} in it, and has something below it")
    reading.nodes[path] = node
    reading.directories.update(parents(path))


def _safe_path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise BuildError(f"the path `{path}` leaves the root")
    plain = "/".join(parts)
    if len(plain) > _PATH_MAX // 4 and (len(plain.encode(errors="surrogateescape")) >= _PATH_MAX):
        raise BuildError(f"the path `{plain[:60]}…` is too long for Linux")
    if any(len(part.encode(errors="surrogateescape")) > _NAME_MAX for part in parts):
        raise BuildError(f"the path `{plain[:60]}…` has a name that is too long for Linux")
    return plain


def _node(archive: tarfile.TarFile, member: tarfile.TarInfo, reading: _Reading) -> Node:
    kind = _KINDS.get(member.type)
    if kind is None:
        raise BuildError(f"`/{member.name}` is of an unknown kind, {member.type!r}")
    if kind == "hardlink":
        return Node("hardlink", member.mode & 0o7777, target=_safe_path(member.linkname))
    if kind == "symlink" and (not member.linkname or "\0" in member.linkname):
        raise BuildError(f"the link `/{member.name}` leads nowhere")
    if not (0 <= member.uid < 1 << 32 and 0 <= member.gid < 1 << 32):
        raise BuildError(f"`/{member.name}` belongs to {member.uid}:{member.gid}")
    device = (member.devmajor, member.devminor) if kind in ("char", "block") else (0, 0)
    if kind == "char" and device == (0, 0):
        raise BuildError(f"`/{member.name}` is the device 0:0, which overlays take for a whiteout")
    node = Node(
        kind,
        0o777 if kind == "symlink" else member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        # Year 36812 and back: what a tree, a tar header and a disk can hold.
        mtime=min(max(int(member.mtime), -(1 << 40)), 1 << 40),
        target=member.linkname if kind == "symlink" else "",
        device=device,
        xattrs=read_xattrs(member),
    )
    return _with_content(node, archive, member, reading) if kind == "file" else node


def _with_content(
    node: Node, archive: tarfile.TarFile, member: tarfile.TarInfo, reading: _Reading
) -> Node:
    reading.left -= member.size
    if member.size < 0 or reading.left < 0:
        raise BuildError(f"`/{member.name}` has {member.size} bytes, more than all may have")
    content = archive.extractfile(member)
    assert content is not None
    executable = bool(node.mode & 0o111)
    if member.size <= _SMALL:
        digest = reading.blobs.add(content.read(), executable=executable)
    else:
        chunks = iter(lambda: content.read(_CHUNK), b"")
        digest = reading.blobs.add_chunks(chunks, executable=executable)
    return msgspec.structs.replace(node, size=member.size, digest=digest)
