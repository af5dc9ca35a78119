"""One binary cache: what it says of a store path, checked, and the path itself, unpacked.

https://nix.dev/manual/nix/stable/protocols/binary-cache. A cache is believed nothing: its narinfo
has to say what the lock says, somebody who is trusted has to have signed that, and what comes has
to be that.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import msgspec

from osloom.base.digest import from_hex
from osloom.base.errors import FetchError
from osloom.fetch.download import GoneError
from osloom.fetch.storage.storage import Storage
from osloom.model.closure import STORE, StorePath
from osloom.model.store_path import hash_part
from osloom.sources.nix.compression import decompressed
from osloom.sources.nix.nar import Keeper, Read, read_nar
from osloom.sources.nix.narinfo import MOST, NarInfo, parse_narinfo, to_store_path
from osloom.sources.nix.signatures import check_trusted

INFO = "nix-cache-info"
MOST_INFO = 64 << 10
"""Bytes of it."""
_LIES = "the cache is broken or lies: take the path from another one"


class CacheSource(msgspec.Struct, frozen=True, kw_only=True):
    """A cache, and whom to believe what comes from it."""

    url: str
    keys: tuple[str, ...]
    """Public keys, of which one has to have signed."""
    trusted: bool = False
    """Whether paths that nobody signed are taken too: `?trusted=true` in its address."""


class BinaryCache:
    """See the module. For any number of threads."""

    def __init__(self, source: CacheSource, storage: Storage) -> None:
        self.source = source
        self.storage = storage
        self._guard = threading.Lock()
        self._problem: FetchError | None = None
        """Why nothing can be had from it; it is not asked again and again."""
        self._known = False

    def bring(self, path: StorePath, blobs: Keeper, *, hear: Callable[[int], None]) -> Read:
        """Unpack `path` as the lock has it. `hear` gets the bytes of the NAR as they come, roughly.

        Raises GoneError when the cache has not got it, and FetchError.
        """
        info = self.find(path)
        with _Archive(self.storage, info) as archive:
            source = archive.reader(hear)
            plain = decompressed(
                source, info.compression, limit=path.nar_size, title=f"the NAR of {path.path}"
            )
            read = read_nar(plain, blobs, path.name, limit=path.nar_size)
            archive.check()
        return read

    def find(self, path: StorePath) -> NarInfo:
        """What the cache says of `path`: what the lock says, and signed. Raises as `bring`."""
        self._check()
        name = f"{hash_part(path.name)}.narinfo"
        try:
            text = self.storage.read(name, limit=MOST)
        except FetchError as error:
            self._problem = error
            raise
        if text is None:
            raise GoneError(f"{self.source.url} has no {path.path}")
        where = f"{self.source.url}/{name}"
        info = self._parse(text, where, path.name)
        compare(info, path, where)
        if not self.source.trusted:
            # Signatures of either, but the lock's content address alone: `bring` checks that one.
            signatures = tuple(dict.fromkeys(path.signatures + info.signatures))
            whole = msgspec.structs.replace(path, signatures=signatures)
            check_trusted(whole, self.source.keys)
        return info

    def look(self, name: str) -> StorePath | None:
        """What the cache says of the path `name` that nothing is locked of yet, signed by whom it
        has to be. None when it has not got it; raises FetchError."""
        self._check()
        file = f"{hash_part(name)}.narinfo"
        try:
            text = self.storage.read(file, limit=MOST)
        except FetchError as error:
            self._problem = error
            raise
        if text is None:
            return None
        info = self._parse(text, f"{self.source.url}/{file}", name)
        if info.name != name:
            raise FetchError(
                f"cannot use {self.source.url}/{file}: it is of {STORE}/{info.name}, and {STORE}/"
                f"{name} was asked for",
                hint="check the name of the store path",
            )
        path = to_store_path(info, caches=(self.source.url,))
        if not self.source.trusted:
            check_trusted(path, self.source.keys)
        return path

    def _parse(self, text: bytes, where: str, name: str) -> NarInfo:
        info = parse_narinfo(text, where=where, wanted=name)
        if self.source.url.startswith("file://") and "://" in info.url:
            raise FetchError(
                f"cannot use {where}: `URL` is `{info.url[:120]}`, and a cache that is a directory "
                "has its archives in itself",
                hint="take the path from the cache that has its archive, or bring it into this one "
                "with `nix copy`",
            )
        return info

    def _check(self) -> None:
        """Whether it is a cache of the right store; asked once."""
        with self._guard:
            if self._problem is not None:
                raise self._problem
            if not self._known:
                try:
                    self._check_info(self.storage.read(INFO, limit=MOST_INFO))
                except FetchError as error:
                    self._problem = error
                    raise
                self._known = True

    def _check_info(self, text: bytes | None) -> None:
        url = self.source.url
        if text is None:
            raise FetchError(
                f"cannot use {url}: it is no binary cache, as it has no `{INFO}`",
                hint="check the address of the cache",
            )
        directory = store_directory(text)
        if directory is None:
            what = "a web page" if text.lstrip()[:1] == b"<" else "something else"
            raise FetchError(
                f"cannot use {url}: its `{INFO}` is {what}", hint="check the address of the cache"
            )
        if directory != STORE:
            raise FetchError(
                f"cannot use {url}: its `StoreDir` is `{directory[:80]}`",
                hint=f"only caches of {STORE} can be used",
            )


def store_directory(text: bytes) -> str | None:
    """`StoreDir` of a nix-cache-info; None of what is none."""
    for line in text.decode(errors="replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and name == "StoreDir" and value.isprintable():
            return value.strip()
    return None


def compare(info: NarInfo, path: StorePath, where: str) -> None:
    """Raises FetchError with the first field that the lock has otherwise."""
    fields: tuple[tuple[str, object, object], ...] = (
        ("StorePath", info.name, path.name),
        ("NarHash", info.nar_hash, path.nar_hash),
        ("NarSize", info.nar_size, path.nar_size),
        ("References", " ".join(info.references), " ".join(sorted(path.references))),
    )
    for name, said, wanted in fields:
        if said != wanted:
            raise FetchError(
                f"cannot use {where}: `{name}` of {path.path} is `{said or 'empty'}`, and the lock "
                f"has `{wanted or 'nothing'}`",
                hint="it was built anew since it was locked, or the cache lies: run `osloom lock` "
                "if you trust it, or take the path from another one",
            )


class _Archive:
    """The bytes of a NAR as a cache sends them, hashed on their way."""

    def __init__(self, storage: Storage, info: NarInfo) -> None:
        self._info = info
        self._size = info.file_size
        self._pieces = storage.stream(info.url, size=info.file_size)
        self._count = 0
        # Where nothing is compressed it is the NAR itself, which is hashed anyway.
        is_nar = info.compression == "none" and info.file_hash == info.nar_hash
        self._hash = None if info.file_hash is None or is_nar else hashlib.sha256()

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._pieces.close()

    def reader(self, hear: Callable[[int], None]) -> BinaryIO:
        return cast(BinaryIO, _Source(self._measured(hear)))

    def _measured(self, hear: Callable[[int], None]) -> Iterator[bytes]:
        ratio = self._info.nar_size / self._size if self._size else 1.0
        for piece in self._pieces:
            self._count += len(piece)
            if self._size is not None and self._count > self._size:
                self._fail(f"it has more than the {self._size} bytes of `FileSize`")
            if self._hash is not None:
                self._hash.update(piece)
            hear(int(len(piece) * ratio))
            yield piece

    def check(self) -> None:
        """Whether all that came is what was promised."""
        if self._size is not None and self._count != self._size:
            self._fail(f"it has {self._count} bytes, and `FileSize` is {self._size}")
        if self._hash is not None and from_hex(self._hash.hexdigest()) != self._info.file_hash:
            self._fail(f"its digest is not `FileHash`, {self._info.file_hash}")

    def _fail(self, cause: str) -> None:
        raise FetchError(f"cannot use `{self._info.url}`: {cause}", hint=_LIES)


class _Source:
    """Pieces to be read as a file; one at a time, and no more than was asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        data = self._rest or next(self._pieces, b"")
        if len(data) <= size:
            self._rest = b""
            return data
        self._rest = data[size:]
        return data[:size]
