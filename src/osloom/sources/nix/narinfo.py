"""What a binary cache says of a store path: `HASH.narinfo`.

https://nix.dev/manual/nix/stable/protocols/binary-cache: lines of `Name: value`. Fields that are
not known are left alone; of those that are known nothing is guessed.
"""

from collections.abc import Mapping
from typing import NoReturn

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import Error, FetchError
from osloom.model.closure import STORE, StorePath
from osloom.model.nix32 import format_hash, parse_hash
from osloom.model.store_path import hash_part, parse_content_address, parse_store_path

MOST = 1 << 20
"""Bytes of a narinfo; the longest of nixpkgs have some thousand references."""
_MOST_SIZE = 1 << 40
"""Bytes of a NAR or of its file."""
_ONCE = (
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "System",
    "CA",
)
_NEEDED = ("StorePath", "URL", "NarHash", "NarSize")
"""Some servers leave `References` out where there are none; a signature covers that too."""


class NarInfo(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    name: str
    """Base name of the store path."""
    url: str
    """Where its archive is, from the cache's own address, or a whole `https://…`."""
    compression: str = "bzip2"
    """`xz`, `zstd`, `none` …; bzip2 where nothing is said, as for Nix."""
    file_hash: Digest | None = None
    """SHA-256 of the archive as it is sent."""
    file_size: int | None = None
    """Bytes of the archive as it is sent."""
    nar_hash: Digest
    nar_size: int
    """Bytes."""
    references: tuple[str, ...] = ()
    """Base names, sorted."""
    deriver: str | None = None
    """Base name."""
    system: str | None = None
    signatures: tuple[str, ...] = ()
    content_address: str | None = None


def parse_narinfo(text: bytes, *, where: str, wanted: str | None = None) -> NarInfo:
    """The narinfo in `text`. `where` is its address or path, for messages; `wanted` is the base
    name or hash part that was asked for. Raises FetchError."""
    return _Parser(where).parse(text, wanted)


class _Parser:
    def __init__(self, where: str) -> None:
        self._where = where

    def parse(self, text: bytes, wanted: str | None) -> NarInfo:
        fields, signatures = self._fields(self._decoded(text))
        name = self._path(fields["StorePath"], "StorePath")
        if wanted is not None and hash_part(name) != hash_part(wanted):
            self._fail(f"it is of {STORE}/{name}, and `{wanted}` was asked for")
        references = [
            self._name(reference, "References")
            for reference in fields.get("References", "").split()
        ]
        if len(set(references)) != len(references):
            self._fail("`References` names a path twice")
        # Nix takes a size of 0 for one that is not known.
        file_size = fields.get("FileSize", "0")
        return NarInfo(
            name=name,
            url=self._url(fields["URL"]),
            compression=fields.get("Compression") or "bzip2",
            file_hash=self._hash(fields, "FileHash") if "FileHash" in fields else None,
            file_size=None if file_size == "0" else self._size(file_size, "FileSize"),
            nar_hash=self._hash(fields, "NarHash"),
            nar_size=self._size(fields["NarSize"], "NarSize"),
            references=tuple(sorted(references)),
            deriver=self._deriver(fields.get("Deriver")),
            system=fields.get("System"),
            signatures=tuple(signatures),
            content_address=self._address(fields.get("CA")),
        )

    def _decoded(self, text: bytes) -> str:
        if len(text) > MOST:
            self._fail(f"it has {len(text)} bytes, and none needs more than {MOST}")
        if text.lstrip()[:1] == b"<":
            self._fail("it is a web page", hint="check the address of the cache")
        try:
            decoded = text.decode("ascii")
        except UnicodeDecodeError:
            self._fail("it holds bytes that are not ASCII")
        if any(letter < " " and letter != "\n" for letter in decoded):
            self._fail("it holds control characters")
        return decoded

    def _fields(self, text: str) -> tuple[dict[str, str], list[str]]:
        fields: dict[str, str] = {}
        signatures: list[str] = []
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            name, colon, value = line.partition(":")
            if not colon or (value and not value.startswith(" ")):
                self._fail(f"line {number} is not `Name: value`")
            value = value[1:]
            if name == "Sig":
                signatures.append(value)
            elif name in fields and name in _ONCE:
                self._fail(f"`{name}` is in it twice")
            else:
                fields[name] = value
        for name in _NEEDED:
            if name not in fields:
                self._fail(f"`{name}` is not in it")
        return fields, signatures

    def _path(self, text: str, field: str) -> str:
        if text.startswith("/") and not text.startswith(f"{STORE}/"):
            self._fail(
                f"`{field}` is `{text[:120]}`, of another store than {STORE}",
                hint=f"only caches of {STORE} can be used",
            )
        if not text.startswith("/"):
            self._fail(f"`{field}` is `{text[:120]}`, which is no path")
        return self._name(text, field)

    def _name(self, text: str, field: str) -> str:
        if field != "StorePath" and "/" in text:
            self._fail(f"`{field}` has `{text[:120]}`, which is no base name of a store path")
        try:
            return parse_store_path(text)
        except Error as error:
            self._fail(f"`{field}`: {error.message}")

    def _deriver(self, text: str | None) -> str | None:
        # Nix writes the word for paths whose derivation it does not know.
        if text is None or text in ("", "unknown-deriver"):
            return None
        return self._name(text, "Deriver")

    def _url(self, url: str) -> str:
        plain = url.startswith(("https://", "http://")) or not (":" in url or url.startswith("/"))
        if not url or not plain or " " in url or ".." in url.split("/"):
            self._fail(
                f"`URL` is `{url[:120]}`, neither below the cache nor an address of http or https"
            )
        return url

    def _hash(self, fields: Mapping[str, str], field: str) -> Digest:
        try:
            return parse_hash(fields[field])
        except ValueError as error:
            self._fail(f"`{field}` is `{fields[field][:120]}`: {error}")

    def _size(self, text: str, field: str) -> int:
        size = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not 0 < size <= _MOST_SIZE:
            self._fail(f"`{field}` is `{text[:40]}`, which is no number of bytes up to 1 TiB")
        return size

    def _address(self, text: str | None) -> str | None:
        if not text:
            return None
        try:
            parse_content_address(text)
        except Error as error:
            self._fail(f"`CA`: {error.message}")
        return text

    def _fail(self, cause: str, *, hint: str | None = None) -> NoReturn:
        raise FetchError(
            f"cannot use {self._where}: {cause}",
            hint=hint or "the cache is broken or lies: take the path from another one",
        )


def format_narinfo(info: NarInfo) -> str:
    """As Nix writes it, field by field."""
    lines = [f"StorePath: {STORE}/{info.name}", f"URL: {info.url}"]
    lines.append(f"Compression: {info.compression}")
    if info.file_hash is not None:
        lines.append(f"FileHash: {format_hash(info.file_hash)}")
    if info.file_size is not None:
        lines.append(f"FileSize: {info.file_size}")
    lines += [f"NarHash: {format_hash(info.nar_hash)}", f"NarSize: {info.nar_size}"]
    lines.append(f"References: {' '.join(info.references)}")
    if info.deriver is not None:
        lines.append(f"Deriver: {info.deriver}")
    if info.system is not None:
        lines.append(f"System: {info.system}")
    lines += [f"Sig: {signature}" for signature in info.signatures]
    if info.content_address is not None:
        lines.append(f"CA: {info.content_address}")
    return "\n".join(lines) + "\n"


def to_store_path(info: NarInfo, *, caches: tuple[str, ...] = ()) -> StorePath:
    """What the lock keeps of it."""
    return StorePath(
        name=info.name,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        references=info.references,
        deriver=info.deriver,
        signatures=info.signatures,
        content_address=info.content_address,
        caches=caches,
    )
