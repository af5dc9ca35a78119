"""The database of a Nix store."""

import hashlib
import sqlite3

from osloom.base.digest import Digest
from osloom.compose.nix.database import write_nix_database
from osloom.model.closure import StorePath


def path(digit: str, name: str, **more: object) -> StorePath:
    base = {
        "name": f"{digit * 32}-{name}",
        "nar_hash": Digest(f"sha256:{digit * 64}"),
        "nar_size": 120,
    }
    return StorePath(**{**base, **more})  # type: ignore[arg-type]


A = path("1", "a")
B = path(
    "2",
    "b-1.0",
    references=(A.name, "2" * 32 + "-b-1.0"),
    deriver="3" * 32 + "-b-1.0.drv",
    signatures=("one:AAAA", "two:BBBB"),
    content_address="fixed:r:sha256:abc",
)


def test_rows_are_as_nix_writes_them() -> None:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(write_nix_database([B, A]))
    assert connection.execute("select * from ValidPaths order by id").fetchall() == [
        (1, A.path, f"sha256:{'1' * 64}", 1, None, 120, None, None, None),
        (
            *(2, B.path, f"sha256:{'2' * 64}", 1, f"/nix/store/{'3' * 32}-b-1.0.drv", 120, None),
            *("one:AAAA two:BBBB", "fixed:r:sha256:abc"),
        ),
    ]
    assert connection.execute("select * from Refs").fetchall() == [(2, 1), (2, 2)]
    assert connection.execute("select * from sqlite_sequence").fetchall() == [("ValidPaths", 2)]
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_the_file_is_a_function_of_the_paths() -> None:
    data = write_nix_database([A, B])
    assert data == write_nix_database([B, A])
    # So that no change of the writer changes images unseen.
    assert hashlib.sha256(data).hexdigest() == (
        "2c1e582b5b658386318c08a7cc028da6be3172c8cf276d48b7919d05af1b93f6"
    )


def test_a_path_that_nix_deletes_takes_its_references_along() -> None:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(write_nix_database([A, B]))
    connection.execute("pragma foreign_keys = on")
    connection.execute("delete from ValidPaths where path = ?", (B.path,))
    assert connection.execute("select * from Refs").fetchall() == []
