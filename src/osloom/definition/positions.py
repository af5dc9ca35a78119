"""Where each key stands, in TOML text that has been parsed already.

`tomllib` says nothing about places. This scanner reads the text once more, knowing that it is
valid, and notes where each key begins; toml.io/en/v1.0.0.
"""

import bisect
import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, from 1."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^\s,\]}#]+")


def find(text: str, path: Path) -> Position | None:
    """The position of the key (or array element) `path`, or of the nearest one above it."""
    places = positions(text)
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def positions(text: str) -> dict[Path, Position]:
    """Every key path and every array element, to its position."""
    scanner = _Scanner(text)
    scanner.run()
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return {path: _position(starts, offset) for path, offset in scanner.offsets.items()}


def _position(starts: list[int], offset: int) -> Position:
    line = bisect.bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.offsets: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}
        """How many tables each array of tables has so far."""

    def run(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self.text.startswith("[[", self.at):
                table = self._header(2, is_array=True)
            elif self.text[self.at] == "[":
                table = self._header(1, is_array=False)
            else:
                self._pair(table)

    def _header(self, brackets: int, *, is_array: bool) -> Path:
        self.at += brackets
        path: Path = ()
        offset = self.at
        for name, offset in self._keys():
            path = self._last((*path, name))
            self.offsets.setdefault(path, offset)
        if is_array:
            # The last name was resolved to the newest table; this header opens another.
            array = path[:-1] if path and isinstance(path[-1], int) else path
            count = self.counts.get(array, 0)
            self.counts[array] = count + 1
            path = (*array, count)
            self.offsets.setdefault(path, offset)
        self.at += brackets
        return path

    def _last(self, path: Path) -> Path:
        """A path into the newest table of an array of tables, where it names one."""
        count = self.counts.get(path)
        return (*path, count - 1) if count else path

    def _pair(self, table: Path) -> None:
        path = table
        for name, offset in self._keys():
            path = (*path, name)
            self.offsets.setdefault(path, offset)
        self.at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> Iterator[tuple[str, int]]:
        """Names of a dotted key; ends at what follows it."""
        while True:
            self._skip(_SPACE)
            offset = self.at
            if self.text[self.at] in "\"'":
                name = self._string()
            else:
                found = _BARE.match(self.text, self.at)
                assert found is not None
                name, self.at = found[0], found.end()
            yield name, offset
            self._skip(_SPACE)
            if self.text[self.at] != ".":
                return
            self.at += 1

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        first = self.text[self.at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._table(path)
        else:
            # A date and its time may have a space between them: the rest is skipped as blank.
            found = _SCALAR.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
            if re.match(r" \d\d:\d\d", self.text[self.at : self.at + 6]):
                self.at += 1
                self._value(path)

    def _array(self, path: Path) -> None:
        self.at += 1
        count = 0
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.offsets.setdefault((*path, count), self.at)
            self._value((*path, count))
            count += 1

    def _table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)

    def _string(self) -> str:
        quote = self.text[self.at]
        triple = quote * 3
        if self.text.startswith(triple, self.at):
            end = self.at + 3
            while not self.text.startswith(triple, end):
                end += 2 if quote == '"' and self.text[end] == "\\" else 1
            # Up to two more quotes belong to the string.
            while self.text.startswith(quote, end + 3):
                end += 1
            raw, self.at = self.text[self.at + 3 : end], end + 3
            return raw
        end = self.at + 1
        while self.text[end] != quote:
            end += 2 if quote == '"' and self.text[end] == "\\" else 1
        raw, self.at = self.text[self.at : end + 1], end + 1
        return _unquoted(raw)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        assert found is not None
        self.at = found.end()


def _unquoted(raw: str) -> str:
    text = tomllib.loads(f"x = {raw}")["x"]
    assert isinstance(text, str)
    return text
