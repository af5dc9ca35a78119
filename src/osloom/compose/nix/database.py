"""The database of a Nix store.

Schema 10, as Nix has it since 2.0: src/libstore/schema.sql of Nix, and `registerValidPaths`. The
file is written here (`model.sqlite`) and not by a library: so it is a function of the paths alone.
"""

from collections.abc import Iterable

from osloom.base.digest import to_hex
from osloom.model.closure import STORE, StorePath
from osloom.model.sqlite import Index, Row, Table, Trigger, write_database

SCHEMA = "10"
"""What the file `schema` beside the database says."""
_REGISTERED = 1
"""When each path was registered, in seconds since 1970: no build has a better answer."""

_VALID_PATHS = """\
CREATE TABLE ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null, -- base16 representation
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies "false"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
)"""
_REFS = """\
CREATE TABLE Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
)"""
_DELETE_SELF_REFS = """\
CREATE TRIGGER DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end"""
_DERIVATION_OUTPUTS = """\
CREATE TABLE DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually "out"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
)"""


def write_nix_database(paths: Iterable[StorePath]) -> bytes:
    """`db.sqlite` of a store where `paths` are valid; what they refer to has to be among them."""
    ordered = sorted(paths, key=lambda path: path.name)
    numbers = {path.name: number for number, path in enumerate(ordered, 1)}
    refs = sorted((numbers[path.name], numbers[one]) for path in ordered for one in path.references)
    # Row ids of `refs`, as the indexes have them.
    rows = list(enumerate(refs, 1))
    count = len(ordered)
    return write_database(
        (
            Table(
                name="ValidPaths",
                sql=_VALID_PATHS,
                rows=[(numbers[path.name], _row(path)) for path in ordered],
            ),
            Index(
                name="sqlite_autoindex_ValidPaths_1",
                table="ValidPaths",
                rows=[(path.path, numbers[path.name]) for path in ordered],
            ),
            Table(
                name="sqlite_sequence",
                sql="CREATE TABLE sqlite_sequence(name,seq)",
                rows=[(1, ("ValidPaths", count))] if count else [],
            ),
            Table(name="Refs", sql=_REFS, rows=rows),
            Index(
                name="sqlite_autoindex_Refs_1",
                table="Refs",
                rows=[(referrer, reference, row) for row, (referrer, reference) in rows],
            ),
            Index(
                name="IndexReferrer",
                table="Refs",
                sql="CREATE INDEX IndexReferrer on Refs(referrer)",
                rows=[(referrer, row) for row, (referrer, _) in rows],
            ),
            Index(
                name="IndexReference",
                table="Refs",
                sql="CREATE INDEX IndexReference on Refs(reference)",
                rows=sorted((reference, row) for row, (_, reference) in rows),
            ),
            Trigger(name="DeleteSelfRefs", table="ValidPaths", sql=_DELETE_SELF_REFS),
            Table(name="DerivationOutputs", sql=_DERIVATION_OUTPUTS),
            Index(name="sqlite_autoindex_DerivationOutputs_1", table="DerivationOutputs"),
            Index(
                name="IndexDerivationOutputs",
                table="DerivationOutputs",
                sql="CREATE INDEX IndexDerivationOutputs on DerivationOutputs(path)",
            ),
        )
    )


def _row(path: StorePath) -> Row:
    return (
        None,
        path.path,
        f"sha256:{to_hex(path.nar_hash)}",
        _REGISTERED,
        f"{STORE}/{path.deriver}" if path.deriver else None,
        path.nar_size or None,
        None,
        " ".join(path.signatures) or None,
        path.content_address,
    )
