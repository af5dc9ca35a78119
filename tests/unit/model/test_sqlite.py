"""Database files that SQLite itself finds nothing wrong with."""

import random
import sqlite3

import pytest

from osloom.model.sqlite import Index, Table, Trigger, Value, write_database

_TEXT = "CREATE TABLE t (id integer primary key, number integer, text text unique)"


def opened(data: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    return connection


def made(rows: list[tuple[int, tuple[Value, ...]]]) -> bytes:
    texts = sorted((str(row[2]), number) for number, row in rows)
    return write_database(
        (
            Table(name="t", sql=_TEXT, rows=rows),
            Index(name="sqlite_autoindex_t_1", table="t", rows=texts),
        )
    )


@pytest.mark.parametrize("count", [0, 1, 2, 40, 41, 42, 43, 44, 45, 400, 5000, 20_000])
@pytest.mark.parametrize("length", [3, 90, 990])
def test_trees_of_any_depth_are_whole(count: int, length: int) -> None:
    if count * length > 1 << 21:
        count //= 20
    chance = random.Random(count)
    rows: list[tuple[int, tuple[Value, ...]]] = [
        (number * 3, (None, chance.randrange(1 << 40), f"{number:0{length}}"))
        for number in range(1, count + 1)
    ]
    connection = opened(made(rows))
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    found = connection.execute("select id, number, text from t order by id").fetchall()
    assert found == [(number, *row[1:]) for number, row in rows]
    connection.execute("insert into t values (NULL, 1, 'another')")
    connection.execute("delete from t where id % 2")
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("length", [0, 1, 4050, 4055, 4056, 4057, 4058, 8000, 8160, 1_000_000])
def test_long_rows_overflow(length: int) -> None:
    sql = "CREATE TABLE t (text text)"
    connection = opened(
        write_database((Table(name="t", sql=sql, rows=[(1, ("ä" + "x" * length,)), (2, ("y",))]),))
    )
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert connection.execute("select text from t").fetchall() == [("ä" + "x" * length,), ("y",)]


def test_every_integer_comes_back() -> None:
    numbers = {
        sign * ((1 << bits) + more) for bits in range(63) for more in (-1, 0, 1) for sign in (1, -1)
    }
    ordered = sorted(number for number in numbers if -(1 << 63) <= number < 1 << 63)
    rows = [(place, (number,)) for place, number in enumerate(ordered, 1)]
    connection = opened(
        write_database((Table(name="t", sql="CREATE TABLE t (number integer)", rows=rows),))
    )
    assert [one for (one,) in connection.execute("select number from t")] == ordered


@pytest.mark.parametrize("row_id", [127, 128, 1 << 55, (1 << 56) - 1, 1 << 56, (1 << 63) - 1])
def test_large_row_ids_come_back(row_id: int) -> None:
    sql = "CREATE TABLE t (id integer primary key)"
    connection = opened(write_database((Table(name="t", sql=sql, rows=[(row_id, (None,))]),)))
    assert connection.execute("select id from t").fetchall() == [(row_id,)]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="an entry of an index is too long"):
        write_database((Index(name="i", table="t", rows=[("x" * 1001, 1)]),))
    text = "CREATE TRIGGER a AFTER DELETE ON t BEGIN SELECT 1; END"
    with pytest.raises(ValueError, match="the schema does not fit into a page"):
        write_database(Trigger(name=f"a{n}", table="t", sql=text) for n in range(100))
