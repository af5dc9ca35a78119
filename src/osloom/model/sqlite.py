"""A database file of SQLite, written from its rows: https://www.sqlite.org/fileformat2.html.

The file is a function of the rows alone. One that the library writes has the library's version in
it, and its pages lie as that version puts them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

Value = int | str | None
Row = Sequence[Value]

_PAGE = 4096
_POINTER = 2
"""Bytes that a page's list of cells takes for each."""
_MOST_IN_LEAF = _PAGE - 35
_MOST_IN_INDEX = (_PAGE - 12) * 64 // 255 - 23
_LEAST = (_PAGE - 12) * 32 // 255 - 23
"""Bytes of a record that stand in its page at most, and at least where the rest overflows."""
_TABLE_LEAF, _TABLE_INTERIOR, _INDEX_LEAF, _INDEX_INTERIOR = 13, 5, 10, 2
_WRITER = 3_040_000
"""The version of SQLite that is said to have written the file; nothing depends on it."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table; the rows by row id. An `integer primary key` is the row id, and None in the row."""

    name: str
    sql: str
    rows: Sequence[tuple[int, Row]] = ()


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index: sorted rows of the indexed columns and the row id, without None among them.

    One that a constraint asks for has no text of its own.
    """

    name: str
    table: str
    sql: str | None = None
    rows: Sequence[Row] = ()


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    table: str
    sql: str


def write_database(content: Iterable[Table | Index | Trigger]) -> bytes:
    """The file. Raises ValueError for what would need more than one page of schema, or an entry
    of an index that is longer than 1002 bytes."""
    pages = _Pages()
    cells = [
        _table_cell(number, _record(_described(one, pages)), pages.overflow)
        for number, one in enumerate(content, 1)
    ]
    first = _page(_TABLE_LEAF, cells, start=100)
    return _header(1 + len(pages.made)) + first[100:] + b"".join(pages.made)


def _described(one: Table | Index | Trigger, pages: "_Pages") -> Row:
    """Its row of the schema; its own rows are put into `pages`."""
    match one:
        case Table():
            return ("table", one.name, one.name, pages.add_table(one.rows), one.sql)
        case Index():
            return ("index", one.name, one.table, pages.add_index(one.rows), one.sql)
        case Trigger():
            return ("trigger", one.name, one.table, 0, one.sql)


def _header(count: int) -> bytes:
    """The first 100 bytes of a file of `count` pages."""
    return b"".join(
        (
            b"SQLite format 3\0",
            _PAGE.to_bytes(2),
            # Not in WAL mode: that cannot be read where nothing can be written.
            bytes((1, 1, 0, 64, 32, 32)),
            *(number.to_bytes(4) for number in (1, count, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0)),
            bytes(20),
            (1).to_bytes(4),
            _WRITER.to_bytes(4),
        )
    )


class _Pages(msgspec.Struct):
    """The pages after the first."""

    made: list[bytes] = []

    def add(self, page: bytes) -> int:
        self.made.append(page)
        return len(self.made) + 1

    def overflow(self, data: bytes) -> int:
        """The number of the first of the pages that hold `data`."""
        following = 0
        room = _PAGE - 4
        for start in reversed(range(0, len(data), room)):
            part = data[start : start + room]
            following = self.add(following.to_bytes(4) + part.ljust(room, b"\0"))
        return following

    def add_table(self, rows: Sequence[tuple[int, Row]]) -> int:
        """The number of the root page."""
        cells = [_table_cell(row_id, _record(row), self.overflow) for row_id, row in rows]
        leaves: list[int] = []
        between: list[bytes] = []
        end = 0
        for run in _runs(cells):
            end += len(run)
            leaves.append(self.add(_page(_TABLE_LEAF, run)))
            between.append(_varint(rows[end - 1][0]) if rows else b"")
        return self._joined(_TABLE_INTERIOR, leaves, between[:-1])

    def add_index(self, rows: Sequence[Row]) -> int:
        """The number of the root page."""
        records = [_record(row) for row in rows]
        if any(len(record) > _MOST_IN_INDEX for record in records):
            raise ValueError("an entry of an index is too long")
        cells = [_varint(len(record)) + record for record in records]
        leaves: list[list[bytes]] = [[]]
        between: list[bytes] = []
        free = _room(_INDEX_LEAF)
        for cell in cells:
            free -= len(cell) + _POINTER
            if free >= 0:
                leaves[-1].append(cell)
            else:
                between.append(cell)
                leaves.append([])
                free = _room(_INDEX_LEAF)
        if between and not leaves[-1]:
            leaves[-1].append(between.pop())
            between.append(leaves[-2].pop())
        return self._joined(
            _INDEX_INTERIOR, [self.add(_page(_INDEX_LEAF, leaf)) for leaf in leaves], between
        )

    def _joined(self, kind: int, children: list[int], between: list[bytes]) -> int:
        """The root page above `children`, of which `between` stands between every two."""
        while len(children) > 1:
            children, between = self._level(kind, children, between)
        return children[0]

    def _level(
        self, kind: int, children: Sequence[int], between: Sequence[bytes]
    ) -> tuple[list[int], list[bytes]]:
        runs: list[list[tuple[int, bytes]]] = [[]]
        upper: list[tuple[int, bytes]] = []
        free = _room(kind)
        for pair in zip(children[:-1], between, strict=True):
            free -= 4 + len(pair[1]) + _POINTER
            if free >= 0:
                runs[-1].append(pair)
            else:
                upper.append(pair)
                runs.append([])
                free = _room(kind)
        if upper and not runs[-1]:
            runs[-1].append(upper.pop())
            upper.append(runs[-2].pop())
        rightmost = [*(child for child, _ in upper), children[-1]]
        made = [
            self.add(_page(kind, [child.to_bytes(4) + text for child, text in run], last=last))
            for run, last in zip(runs, rightmost, strict=True)
        ]
        return made, [text for _, text in upper]


def _room(kind: int) -> int:
    return _PAGE - (8 if kind in (_TABLE_LEAF, _INDEX_LEAF) else 12)


def _runs(cells: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many cells as a leaf takes, again and again; at least one run."""
    run: list[bytes] = []
    free = _room(_TABLE_LEAF)
    for cell in cells:
        free -= len(cell) + _POINTER
        if free < 0:
            yield run
            run, free = [], _room(_TABLE_LEAF) - len(cell) - _POINTER
        run.append(cell)
    yield run


def _page(kind: int, cells: Sequence[bytes], *, start: int = 0, last: int | None = None) -> bytes:
    """A page of a tree; its first `start` bytes are left free."""
    if start and start + 8 + sum(len(cell) + _POINTER for cell in cells) > _PAGE:
        raise ValueError("the schema does not fit into a page")
    places = []
    end = _PAGE
    for cell in cells:
        end -= len(cell)
        places.append(end.to_bytes(2))
    head = bytes((kind,)) + bytes(2) + len(cells).to_bytes(2) + end.to_bytes(2) + bytes(1)
    head += b"" if last is None else last.to_bytes(4)
    front = bytes(start) + head + b"".join(places)
    return front.ljust(end, b"\0") + b"".join(reversed(cells))


def _table_cell(row_id: int, record: bytes, overflow: Callable[[bytes], int]) -> bytes:
    front = _varint(len(record)) + _varint(row_id)
    if len(record) <= _MOST_IN_LEAF:
        return front + record
    kept = _LEAST + (len(record) - _LEAST) % (_PAGE - 4)
    kept = kept if kept <= _MOST_IN_LEAF else _LEAST
    return front + record[:kept] + overflow(record[kept:]).to_bytes(4)


def _record(row: Row) -> bytes:
    kinds, bodies = [], []
    for value in row:
        kind, body = _serial(value)
        kinds.append(_varint(kind))
        bodies.append(body)
    types = b"".join(kinds)
    size = len(types) + 1
    if size > 127:
        raise ValueError("a row has too many columns")
    return _varint(size) + types + b"".join(bodies)


_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 6: 5, 8: 6}
"""Serial types of integers by their bytes."""


def _serial(value: Value) -> tuple[int, bytes]:
    """Serial type and content."""
    if value is None:
        return 0, b""
    if isinstance(value, str):
        text = value.encode()
        return 13 + 2 * len(text), text
    if value in (0, 1):
        return 8 + value, b""
    size = next(size for size in _SIZES if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
    return _SIZES[size], value.to_bytes(size, signed=True)


def _varint(number: int) -> bytes:
    """Of a number below 2⁶³; nine bytes, where all count eight bits, come only from 2⁵⁶ on."""
    if number >= 1 << 56:
        return _seven(number >> 8, 8, all_continue=True) + bytes((number & 0xFF,))
    return _seven(number, max(1, -(-number.bit_length() // 7)))


def _seven(number: int, count: int, *, all_continue: bool = False) -> bytes:
    digits = [number >> (7 * place) & 0x7F for place in reversed(range(count))]
    marked = count if all_continue else count - 1
    return bytes(digit | 0x80 if place < marked else digit for place, digit in enumerate(digits))
