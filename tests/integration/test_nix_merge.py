"""What a machine adds to its image's Nix store, through updates, rollbacks, cuts and damage."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from support.nix_host import NixHost

_SHIMMED = ("sqlite3", "mv", "rm", "mkdir", "cat", "cp", "sync", "ls", "ln", "find", "mount", "sed")
# Whatever runs in the namespace ends at once, as if the power had gone.
_SHIM = """\
#!/bin/sh
echo >>/shims/count
[ "$(/usr/bin/wc -l </shims/count)" -lt "$(/usr/bin/cat /shims/limit)" ] || kill -KILL -1
PATH=${{PATH#/shims:}}
exec {name} "$@"
"""
_BUILD = "nix-build -o /nix/var/nix/gcroots/mine /srv -A mine"
_SAY = "/nix/var/nix/gcroots/mine/bin/say"
_VERIFY = "nix-store --verify --check-contents 2>/tmp/said || { cat /tmp/said; exit 1; }"
_KEEP = "/usr/libexec/nix-writable keep"
_SOUND = f"{_SAY}; {_VERIFY}"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, store: Path) -> NixHost:
    return NixHost(tmp_path_factory.mktemp("nix-host"), store)


@pytest.fixture(scope="module")
def after_first(host: NixHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that had `mine` built in release 1, and was stopped in order."""
    machine = tmp_path_factory.mktemp("machine") / "nix"
    machine.mkdir()
    host.boot(1, machine, f"{_BUILD}; {_KEEP}").check()
    return machine


@pytest.fixture
def machine(after_first: Path, tmp_path: Path) -> Path:
    return copied(after_first, tmp_path / "machine")


def copied(machine: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(machine, place, symlinks=True))


def named(paths: list[str] | set[str]) -> set[str]:
    """Without the hashes, and without derivations."""
    return {path.rpartition("/")[2][33:] for path in paths if not path.endswith(".drv")}


def entries(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def known(machine: Path) -> set[str]:
    """What Nix has as valid."""
    live = sqlite3.connect(machine / "var/nix/db/db.sqlite")
    found = {path for (path,) in live.execute("SELECT path FROM ValidPaths")}
    assert not live.execute("PRAGMA foreign_key_check").fetchall()
    live.close()
    return found


def state(machine: Path) -> dict[str, object]:
    """All that matters of a machine that has just booted."""
    added = sqlite3.connect(machine / "added.sqlite")
    rows = [
        sorted(added.execute(f"SELECT * FROM {table}"))
        for table in ("Path", "Reference", "Output", "Shown")
    ]
    added.close()
    return {
        "known": sorted(known(machine)),
        "added": rows,
        "upper": sorted(entries(machine / "upper")),
        "shelf": sorted(entries(machine / "shelf")),
    }


def test_what_was_added_outlives_an_update_and_a_rollback(host: NixHost, machine: Path) -> None:
    assert host.boot(2, machine, _SOUND).check() == "libc-1\nown\n"
    assert named(known(machine)) == {"seed", "app-2", "libc-2", "common", "libc-1", "own", "mine"}
    assert host.boot(1, machine, _SOUND).check() == "libc-1\nown\n"
    assert named(known(machine)) == {"seed", "app-1", "common", "libc-1", "own", "mine"}
    assert named(entries(machine / "shelf")) == {"seed", "libc-1"}


def test_what_was_not_kept_in_time_is_named_and_comes_back(host: NixHost, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    host.boot(1, machine, _BUILD).check()
    (mine,) = (path for path in known(machine) if path.endswith("-mine"))
    (libc,) = (path for path in known(machine) if path.endswith("-libc-1"))
    said = host.boot(2, machine, f"! nix-store --check-validity {mine}; {_VERIFY}; nix-store --gc")
    line = f"<4>nix: {mine} is not shown: this release does not have {libc}\n"
    assert said.check().startswith(line)
    # What it refers to is not collected either: it would not come back.
    assert named(known(machine)) == {"seed", "app-2", "libc-2", "common", "own"}
    assert host.boot(1, machine, _SOUND).check() == "libc-1\nown\n"
    forget = "/usr/libexec/nix-writable forget; nix-store --gc"
    assert host.boot(2, machine, forget).check().startswith(line)
    assert entries(machine / "shelf") == []
    assert host.boot(2, machine, _VERIFY).check() == ""
    assert named(known(machine)) == {"seed", "app-2", "libc-2", "common"}


@pytest.mark.parametrize("release", [2, 1])
def test_a_cut_at_any_point_of_a_boot_loses_nothing(
    host: NixHost, machine: Path, tmp_path: Path, release: int
) -> None:
    other = 3 - release
    if release == 1:
        host.boot(2, machine, "").check()
    wanted = {}
    for number in (release, other):
        place = copied(machine, tmp_path / "whole")
        host.boot(number, place, _VERIFY).check()
        wanted[number] = state(place)
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in _SHIMMED:
        (shims / name).write_text(_SHIM.format(name=name))
        (shims / name).chmod(0o755)
    for limit in range(1, 1000):
        (shims / "count").write_text("")
        (shims / "limit").write_text(f"{limit}")
        cut = copied(machine, tmp_path / "cut")
        if host.boot(release, cut, "", shims=shims).status == 0:
            break
        for number in (release, other):
            place = copied(cut, tmp_path / "again")
            host.boot(number, place, "").check()
            assert state(place) == wanted[number], (limit, number)
    assert limit > 30


def test_the_collector_frees_what_was_added_and_nothing_of_the_image(
    host: NixHost, machine: Path
) -> None:
    collect = "nix-collect-garbage --option keep-derivations false"
    collect = f"rm /nix/var/nix/gcroots/mine; {collect}; {_KEEP}; {_VERIFY}"
    assert "-app-1'" not in host.boot(1, machine, collect).check()
    assert named(known(machine)) == {"seed", "app-1", "libc-1", "common"}
    assert {path for path in entries(machine / "upper") if path != ".links"} == set()
    assert entries(machine / "shelf") == []
    assert host.boot(2, machine, "/nix/store/*-app-2/bin/say").check() == "libc-2\ncommon\n"
    assert named(known(machine)) == {"seed", "app-2", "libc-2", "common"}


def test_what_the_collector_began_to_remove_is_not_taken_back(host: NixHost, machine: Path) -> None:
    (own,) = (path for path in known(machine) if path.endswith("-own"))
    # As it does: the database first, and then the files, of which the power cut left some.
    forgotten = f"rm /nix/var/nix/gcroots/mine; nix-store --delete /nix/store/*-mine {own}"
    remains = f"mkdir {own}; chmod 555 {own}"
    host.boot(1, machine, f"{forgotten}; {remains}").check()
    host.boot(1, machine, f"! nix-store --check-validity {own}; {_VERIFY}").check()


def test_what_somebody_removed_of_the_image_is_there_again(host: NixHost, machine: Path) -> None:
    remove = "nix-store --delete --ignore-liveness /nix/store/*-app-1; ! ls /nix/store/*-app-1"
    host.boot(1, machine, f"rm -r /nix/var/nix/gcroots/image; {remove}").check()
    assert host.boot(1, machine, f"/nix/store/*-app-1/bin/say; {_VERIFY}").check() == (
        "libc-1\ncommon\n"
    )


def test_a_path_that_the_next_release_brings_too_stays_the_machines(
    host: NixHost, machine: Path
) -> None:
    build = "nix-build -o /nix/var/nix/gcroots/two /srv -A app-2"
    host.boot(1, machine, f"{build}; {_KEEP}").check()
    assert host.boot(2, machine, f"{_SOUND}; /nix/var/nix/gcroots/two/bin/say; {_KEEP}").check()
    assert "app-2" in named(entries(machine / "shelf"))
    both = f"{_SOUND}; /nix/var/nix/gcroots/two/bin/say"
    assert host.boot(1, machine, both).check() == "libc-1\nown\nlibc-2\ncommon\n"


def test_a_root_at_a_path_of_the_image_keeps_it(host: NixHost, machine: Path) -> None:
    root = "nix-store --add-root /nix/var/nix/gcroots/app --realise /nix/store/*-app-1"
    host.boot(1, machine, f"{root}; {_KEEP}").check()
    assert host.boot(2, machine, f"/nix/var/nix/gcroots/app/bin/say; {_VERIFY}").check() == (
        "libc-1\ncommon\n"
    )
    assert "app-1" in named(known(machine))


def _wipe_upper(machine: Path) -> None:
    shutil.rmtree(machine / "upper")


def _break_live(machine: Path) -> None:
    (machine / "var/nix/db/db.sqlite").write_bytes(b"SQLite format 3\0" + b"broken" * 1000)


def _break_added(machine: Path) -> None:
    (machine / "added.sqlite").write_bytes(b"nonsense" * 1000)


def _break_both(machine: Path) -> None:
    _break_live(machine)
    _break_added(machine)


def _fill_with_rubbish(machine: Path) -> None:
    (machine / "upper/..rubbish").mkdir()
    (machine / "upper/'; DROP TABLE Path; --").write_text("x")
    (machine / "upper/\\c\\0").write_text("x")
    (machine / "shelf/a b").write_text("x")


def _put_another_database(machine: Path) -> None:
    live = machine / "var/nix/db/db.sqlite"
    live.unlink()
    connection = sqlite3.connect(live)
    connection.execute("CREATE TABLE ValidPaths (path)")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "survives"),
    [
        (_wipe_upper, False),
        (_break_live, True),
        (_put_another_database, True),
        (_break_added, True),
        (_break_both, False),
        (_fill_with_rubbish, True),
    ],
)
def test_damage_costs_no_more_than_it_hit(
    host: NixHost, machine: Path, harm: Callable[[Path], None], survives: bool
) -> None:
    harm(machine)
    said = host.boot(1, machine, f"/nix/store/*-app-1/bin/say; {_VERIFY}").check()
    assert said.endswith("libc-1\ncommon\n")
    assert ("mine" in named(known(machine))) is survives
    if survives:
        host.boot(1, machine, _SOUND).check()
        host.boot(1, machine, _KEEP).check()
        assert host.boot(2, machine, _SOUND).check().endswith("libc-1\nown\n")


def test_without_a_place_to_write_the_images_own_store_is_there(
    host: NixHost, tmp_path: Path
) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "upper").write_text("a file")
    said = host.boot(1, machine, "")
    assert said.status != 0
    assert said.output.splitlines()[-1] == (
        "<3>nix: what was added to /nix/store is not shown, see above; it has the image's own paths"
    )
    script = "/usr/libexec/nix-writable mount || true; /nix/store/*-app-1/bin/say"
    place = ["--ro-bind", host.release(1), "/nix", "--ro-bind", machine, "/var/lib/nix"]
    assert host.run(script, *place).check().endswith("libc-1\ncommon\n")
