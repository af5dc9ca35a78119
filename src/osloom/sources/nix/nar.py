"""Read NARs, which anybody may have made: into one blob and a tree of its parts, in one pass.

So a store path of ten thousand files is one file to write and one digest to compute. The format is in `model.nar`. What Nix itself never writes is refused: names that leave their
directory or are not in order, padding that is not zero, anything after the end. So is what Linux
could not hold, and what is made to exhaust memory: see the limits below.

Names that differ by case alone are taken: they are different files on Linux, and real packages
have them (the kernel's headers, terminfo). Names with the suffix by which Nix tells them apart on
macOS are refused: they come from a store whose NARs are not what their paths say.
"""

from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, NoReturn, Protocol

import msgspec

from osloom.base.digest import Digest, digest_part
from osloom.base.errors import FetchError
from osloom.model.closure import STORE
from osloom.model.nar import (
    CLOSE,
    DIRECTORY,
    ENTRY,
    EXECUTABLE,
    FILE,
    MAGIC,
    NODE,
    SYMLINK,
)
from osloom.model.tree import Node, Tree
from osloom.store.blobs import BlobWriter

MTIME = 1
"""Of every path in a Nix store."""
_CHUNK = 256 << 10
"""Bytes that are read, hashed and written while they are in the processor's cache."""
_NAME_MAX = 255
_PATH_MAX = 4096
_MOST_NESTED = 256
"""Nix itself takes 64 levels since 2.34, and any number before."""
_MOST_TEXT = 128 << 20
"""Bytes of all paths and link targets: some hundred times what the largest packages have."""
_CASE_HACK = b"~nix~case~hack~"
_LONGEST = max(len(one) for one in (FILE, EXECUTABLE, SYMLINK, DIRECTORY, ENTRY))
_HINT = "what it came from is broken or lies: take the path from another cache"


class Keeper(Protocol):
    """Where contents go: `store.blobs.Blobs`, or a part of it that is given up on failure."""

    def writer(self) -> AbstractContextManager[BlobWriter]: ...


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What one NAR was."""

    tree: Tree
    """Its files at `nix/store/NAME`, parts of the NAR; neither `nix` nor `nix/store` is in it."""
    nar_hash: Digest
    nar_size: int
    """Bytes."""


def read_nar(source: BinaryIO, blobs: Keeper, name: str, *, limit: int) -> Read:
    """Unpack the NAR of the store path with the base name `name` from `source`.

    At most `limit` + 1 bytes are read: `limit` is what its narinfo says. Raises FetchError; whether
    hash and size are the right ones is for the caller to see.
    """
    with blobs.writer() as writer:
        found = _Reader(source, writer, name, limit).read()
    return Read(tree=found.tree(writer.digest), nar_hash=writer.digest, nar_size=writer.size)


class _File(NamedTuple):
    """One whose node waits for the digest of the NAR."""

    start: int
    size: int
    executable: bool


class Found:
    """The nodes of a NAR whose digest is known last."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node | _File] = {}

    def directory(self, path: str) -> None:
        self._nodes[path] = Node("dir", 0o555, mtime=MTIME)

    def symlink(self, path: str, target: bytes) -> None:
        text = target.decode(errors="surrogateescape")
        self._nodes[path] = Node("symlink", 0o777, mtime=MTIME, target=text)

    def file(self, path: str, start: int, size: int, *, executable: bool) -> None:
        """One whose content begins at byte `start`."""
        self._nodes[path] = _File(start, size, executable)

    def tree(self, nar: Digest) -> Tree:
        return Tree(
            (path, _node(nar, one) if isinstance(one, _File) else one)
            for path, one in self._nodes.items()
        )


def _node(nar: Digest, file: _File) -> Node:
    mode = 0o555 if file.executable else 0o444
    digest = digest_part(nar, file.start, file.size)
    return Node("file", mode, mtime=MTIME, size=file.size, digest=digest)


class _Directory(msgspec.Struct):
    """One that is being read."""

    path: str
    last: bytes = b""
    """The name that was read last."""


class _Reader:
    """A window on the source, and what was found behind it."""

    def __init__(self, source: BinaryIO, writer: BlobWriter, name: str, limit: int) -> None:
        self._source = source
        self._writer = writer
        """It has all bytes that came from the source."""
        self._name = name
        self._limit = limit
        self._data = b""
        self._place = 0
        """Of what comes next, in `_data`."""
        self._text = _MOST_TEXT
        self._found = Found()
        self._stack: list[_Directory] = []

    def read(self) -> Found:
        self._expect(MAGIC, "`nix-archive-1`")
        self._node(f"nix/store/{self._name}")
        while self._stack:
            self._entry(self._stack[-1])
        rest = len(self._data) - self._place + len(self._more())
        if rest:
            self._fail("something follows its end")
        return self._found

    def _entry(self, directory: _Directory) -> None:
        """The next entry of `directory`, or its end."""
        if self._starts(CLOSE):
            self._stack.pop()
            if self._stack:
                self._expect(CLOSE, "`)`")
            return
        if not self._starts(ENTRY):
            self._unknown((ENTRY, CLOSE), "`entry` or `)`")
        name = self._string(_NAME_MAX, "a name")
        if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
            self._fail(f"`{_shown(name)}` is the name of a file in it")
        if _CASE_HACK in name:
            self._fail(
                f"`{_shown(name)}` is the name of a file in it, as a Nix store on macOS has it"
            )
        if name <= directory.last:
            self._fail(
                f"`{_shown(name)}` comes after `{_shown(directory.last)}`, and names have to be "
                "in order, each once"
            )
        directory.last = name
        self._expect(NODE, "`node`")
        depth = len(self._stack)
        self._node(f"{directory.path}/{name.decode(errors='surrogateescape')}")
        if len(self._stack) == depth:
            self._expect(CLOSE, "`)`")

    def _node(self, path: str) -> None:
        """One node with its end; of a directory the beginning, which is then on the stack."""
        self._keep_short(path)
        if len(path) >= _PATH_MAX // 4 and len(path.encode(errors="surrogateescape")) >= _PATH_MAX:
            self._fail(f"the path `{path[:60]}…` is too long for Linux")
        if self._starts(FILE):
            self._file(path, executable=False)
        elif self._starts(EXECUTABLE):
            self._file(path, executable=True)
        elif self._starts(DIRECTORY):
            if len(self._stack) == _MOST_NESTED:
                self._fail(f"its directories are nested more than {_MOST_NESTED} deep")
            self._found.directory(path)
            self._stack.append(_Directory(path))
            return
        elif self._starts(SYMLINK):
            self._symlink(path)
        else:
            self._unknown((FILE, EXECUTABLE, DIRECTORY, SYMLINK), "file, directory or link")
        self._expect(CLOSE, "`)`")

    def _keep_short(self, text: str | bytes) -> None:
        self._text -= len(text)
        if self._text < 0:
            self._fail(f"its paths and links have more than {_MOST_TEXT} characters")

    def _symlink(self, path: str) -> None:
        target = self._string(_PATH_MAX - 1, "a link's target")
        if not target or b"\0" in target:
            self._fail(f"`{_shown(target)}` is the target of a link in it")
        self._keep_short(target)
        self._found.symlink(path, target)

    def _file(self, path: str, *, executable: bool) -> None:
        size = self._length()
        self._found.file(path, self._position(), size, executable=executable)
        self._place += size
        while self._place > len(self._data):
            self._place -= len(self._data)
            self._data = self._more()
            if not self._data:
                self._cut()
        self._padding(size)

    def _string(self, longest: int, what: str) -> bytes:
        size = self._length()
        if size > longest:
            self._fail(f"{what} in it has {size} bytes, and Linux allows {longest}")
        data = self._take(size)
        self._padding(size)
        return data

    def _length(self) -> int:
        size = int.from_bytes(self._take(8), "little")
        if size > self._limit:
            self._fail(f"a file or name in it has {size} bytes, and all of it {self._limit}")
        return size

    def _padding(self, size: int) -> None:
        if size % 8 and any(self._take(-size % 8)):
            self._fail("what fills it up between its parts is not zero")

    def _expect(self, words: bytes, said: str) -> None:
        if not self._starts(words):
            self._unknown((words,), said)

    def _starts(self, words: bytes) -> bool:
        """Whether `words` come next; if so they are done with."""
        if len(self._data) - self._place < _LONGEST:
            self._fill(_LONGEST)
        if not self._data.startswith(words, self._place):
            return False
        self._place += len(words)
        return True

    def _take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            self._fill(size)
            end = self._place + size
            if end > len(self._data):
                self._cut()
        data = self._data[self._place : end]
        self._place = end
        return data

    def _fill(self, size: int) -> None:
        """Have `size` bytes in the window, or all that are left."""
        pieces = [self._data[self._place :]]
        have = len(pieces[0])
        while have < size and (piece := self._more()):
            pieces.append(piece)
            have += len(piece)
        self._data, self._place = b"".join(pieces), 0

    def _more(self) -> bytes:
        piece = self._source.read(min(_CHUNK, self._limit + 1 - self._writer.size))
        self._writer.write(piece)
        if self._writer.size > self._limit:
            self._fail(f"it is longer than the {self._limit} bytes that it should have")
        return piece

    def _unknown(self, wanted: tuple[bytes, ...], said: str) -> NoReturn:
        rest = self._data[self._place : self._place + _LONGEST]
        if any(words.startswith(rest) for words in wanted):
            self._cut()
        self._fail(f"at byte {self._position()} it has no {said}")

    def _position(self) -> int:
        return self._writer.size - len(self._data) + self._place

    def _cut(self) -> NoReturn:
        self._fail(f"it ends after {self._writer.size} bytes, in the middle")

    def _fail(self, cause: str) -> NoReturn:
        raise FetchError(f"cannot unpack the NAR of {STORE}/{self._name}: {cause}", hint=_HINT)


def _shown(name: bytes) -> str:
    """As a message may have it: nothing that moves a terminal's cursor, and not all of it."""
    text = name[:60].decode(errors="backslashreplace")
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return shown + ("…" if len(name) > 60 else "")
