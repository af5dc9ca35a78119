"""Locking against a real signed repository that can lie."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from osloom.base.errors import FetchError, LockError
from osloom.base.progress import silent
from osloom.model.lock import Lock
from osloom.model.providers import Debian
from osloom.model.providers import Repository as Listed
from osloom.sources.debian.lock import Previous, make_lock
from osloom.sources.debian.lockfile import dump, load, parse, save
from osloom.sources.debian.packages import fetch_packages
from osloom.sources.debian.request import Request
from osloom.store.store import Store
from support.deb import Deb
from support.repository import Repository, serving

NOW = int(dt.datetime(2026, 1, 2, tzinfo=dt.UTC).timestamp())


def request(*names: str, recommends: bool = False) -> Request:
    return Request(
        names=names, suite="stable", architecture="amd64", essential=False, recommends=recommends
    )


def definition(address: str, directory: Path, repository: Repository) -> Debian:
    (directory / "key.pgp").write_bytes(repository.keyring)
    return Debian(
        suite="stable",
        mirror=address,
        security_mirror=address,
        security=False,
        updates=False,
        keyring="key.pgp",
    )


def lock_of(
    tmp_path: Path,
    repository: Repository,
    *names: str,
    now: int = NOW,
    previous: Previous | None = None,
) -> Lock:
    with serving(repository) as address:
        return make_lock(
            Store(tmp_path / "store"),
            definition(address, tmp_path, repository),
            {"app": request(*names)},
            directory=tmp_path,
            now=now,
            report=silent,
            previous=previous,
        )


def chosen(lock: Lock) -> list[str]:
    return [f"{one.name} {one.version}" for one in lock.packages_of("app")]


def test_what_a_package_needs_is_locked_with_it(tmp_path: Path) -> None:
    repository = Repository(
        [Deb("app", fields={"Depends": "lib (>= 1)"}), Deb("lib"), Deb("other")]
    )
    lock = lock_of(tmp_path, repository, "app")
    assert chosen(lock) == ["app 1", "lib 1"]
    assert lock.packages[0].depends == ("lib",)
    assert lock.epoch == int(repository.date.timestamp())


def test_what_was_chosen_for_a_virtual_package_is_what_was_asked_for(tmp_path: Path) -> None:
    provider = Deb("app-real", fields={"Provides": "app"})
    lock = lock_of(tmp_path, Repository([provider, Deb("lib")]), "app", "lib=1")
    assert lock.images["app"].requested == ("app-real", "lib")


def test_a_forged_release_is_refused(tmp_path: Path) -> None:
    repository = Repository([Deb("app")])
    honest = repository.files()["dists/stable/InRelease"]
    repository.overrides["dists/stable/InRelease"] = honest.replace(b"Suite: ", b"Suite: x")
    with pytest.raises(LockError) as caught:
        lock_of(tmp_path, repository, "app")
    assert caught.value.message.startswith("cannot trust debian/stable: its signature is not good")


def test_a_release_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    repository = Repository([Deb("app")])
    stranger = Repository([Deb("app")])
    repository.overrides["dists/stable/InRelease"] = stranger.files()["dists/stable/InRelease"]
    with pytest.raises(LockError, match="cannot trust debian/stable"):
        lock_of(tmp_path, repository, "app")


def test_an_expired_release_is_refused(tmp_path: Path) -> None:
    until = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    with pytest.raises(LockError) as caught:
        lock_of(tmp_path, Repository([Deb("app")], valid_until=until), "app")
    assert (
        caught.value.message == "cannot use debian/stable: it was valid until 2026-01-01 12:00 UTC"
    )


def test_a_mirror_that_is_meant_to_stand_still_can_be_used(tmp_path: Path) -> None:
    repository = Repository([Deb("app")], valid_until=dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC))
    with serving(repository) as address:
        debian = msgspec.structs.replace(
            definition(address, tmp_path, repository), check_valid_until=False
        )
        lock = make_lock(
            Store(tmp_path / "store"),
            debian,
            {"app": request("app")},
            directory=tmp_path,
            now=NOW,
            report=silent,
        )
    assert chosen(lock) == ["app 1"]


def test_a_clock_in_the_past_is_named(tmp_path: Path) -> None:
    with pytest.raises(LockError) as caught:
        lock_of(tmp_path, Repository([Deb("app")]), "app", now=NOW - 10 * 86400)
    assert caught.value.message == (
        "cannot use debian/stable: it is dated 2026-01-01 00:00 UTC, which is in the future"
    )
    assert caught.value.hint == "this machine's clock says 2025-12-23 00:00 UTC: set it right"


def test_an_index_that_is_not_what_was_signed_is_refused(tmp_path: Path) -> None:
    repository = Repository([Deb("app")])
    name = "dists/stable/main/binary-amd64/Packages"
    index = repository.files()[name]
    repository.overrides[name] = index.replace(b"Version: 1", b"Version: 2")
    with pytest.raises(FetchError) as caught:
        lock_of(tmp_path, repository, "app")
    assert caught.value.message.startswith("cannot use index of debian/stable: its digest is")


def test_an_unknown_package_gets_the_nearest_names(tmp_path: Path) -> None:
    repository = Repository([Deb("nginx"), Deb("bash")])
    with pytest.raises(LockError) as caught:
        lock_of(tmp_path, repository, "ngnix")
    assert caught.value.message == "cannot lock `app`: cannot find the package `ngnix`"
    assert caught.value.hint == "did you mean `nginx`?"


def test_a_set_that_does_not_fit_together_says_why(tmp_path: Path) -> None:
    repository = Repository(
        [
            Deb("app", fields={"Depends": "middle"}),
            Deb("middle", fields={"Depends": "lib (>= 2)"}),
            Deb("lib"),
        ]
    )
    with pytest.raises(LockError) as caught:
        lock_of(tmp_path, repository, "app")
    assert caught.value.detail == (
        "app 1 needs middle, but middle 1 needs lib (>= 2), but lib is 1"
    )


def test_an_alternative_that_is_in_the_way_is_not_taken(tmp_path: Path) -> None:
    repository = Repository(
        [
            Deb("app", fields={"Depends": "base, full"}),
            Deb("base", fields={"Depends": "small | full"}),
            Deb("small", fields={"Conflicts": "full"}),
            Deb("full"),
        ]
    )
    assert chosen(lock_of(tmp_path, repository, "app")) == ["app 1", "base 1", "full 1"]


def test_locked_versions_stay_until_an_upgrade(tmp_path: Path) -> None:
    both = Repository([Deb("app"), Deb("app", version="2"), Deb("new")])
    lock = lock_of(tmp_path, Repository([Deb("app")]), "app")
    kept = lock_of(tmp_path, both, "app", "new", previous=Previous(lock=lock))
    assert chosen(kept) == ["app 1", "new 1"]
    for previous in (
        Previous(lock=lock, upgrade_all=True),
        Previous(lock=lock, upgrade=("app",)),
    ):
        assert chosen(lock_of(tmp_path, both, "app", previous=previous)) == ["app 2"]


def test_upgrading_what_is_not_locked_is_an_error(tmp_path: Path) -> None:
    repository = Repository([Deb("app")])
    previous = Previous(lock=lock_of(tmp_path, repository, "app"), upgrade=("nope",))
    with pytest.raises(LockError, match="cannot upgrade `nope`: it is not in the lock"):
        lock_of(tmp_path, repository, "app", previous=previous)


def test_a_third_party_repository_has_its_own_key_and_priority(tmp_path: Path) -> None:
    ours = Repository([Deb("app", version="2")])
    theirs = Repository([Deb("app", version="1")])
    (tmp_path / "theirs.pgp").write_bytes(theirs.keyring)
    with serving(ours) as address, serving(theirs) as other:
        debian = msgspec.structs.replace(
            definition(address, tmp_path, ours),
            repository=(
                Listed(name="vendor", url=other, suite="stable", key="theirs.pgp", priority=900),
            ),
        )
        lock = make_lock(
            Store(tmp_path / "store"),
            debian,
            {"app": request("app")},
            directory=tmp_path,
            now=NOW,
            report=silent,
        )
    assert [(one.version, one.repository) for one in lock.packages] == [("1", "vendor/stable")]


def test_a_lock_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, Repository([Deb("app", fields={"Depends": "lib"}), Deb("lib")]), "app")
    save(lock, tmp_path / "osloom.lock")
    assert load(tmp_path / "osloom.lock") == lock
    assert dump(load(tmp_path / "osloom.lock")) == dump(lock)
    lines = dump(lock).splitlines()
    assert sum('"name": "lib"' in line for line in lines) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"version": 9}', "cannot read osloom.lock: it is of version 9, "),
        (b'{"version": 1, "epo', "cannot read osloom.lock: "),
    ],
)
def test_a_lock_of_another_version_or_cut_off_is_an_error(text: bytes, message: str) -> None:
    with pytest.raises(LockError) as caught:
        parse(text, file="osloom.lock")
    assert caught.value.message.startswith(message)


def test_packages_that_left_the_mirror_are_all_named(tmp_path: Path) -> None:
    repository = Repository([Deb("app", fields={"Depends": "lib"}), Deb("lib")])
    lock = lock_of(tmp_path, repository, "app")
    empty = Repository([Deb("other")])
    with serving(empty) as address, pytest.raises(LockError) as caught:
        fetch_packages(
            Store(tmp_path / "store"),
            lock,
            definition(address, tmp_path, empty),
            lock.packages,
            report=silent,
        )
    assert caught.value.message == (
        "the lock is older than the mirror: cannot fetch what is locked: app 1, lib 1"
    )
    assert "osloom lock --upgrade" in (caught.value.hint or "")


def locked(
    tmp_path: Path,
    repository: Repository,
    requests: dict[str, Request],
    previous: Lock | None = None,
) -> Lock:
    with serving(repository) as address:
        return make_lock(
            Store(tmp_path / "store"),
            definition(address, tmp_path, repository),
            requests,
            directory=tmp_path,
            now=NOW,
            report=silent,
            previous=Previous(lock=previous) if previous else None,
        )


@pytest.mark.parametrize(
    ("without", "packages"),
    [
        ((), ["app", "awk", "lib", "tool"]),
        (("awk",), ["app", "lib"]),
        (("app>awk",), ["app", "awk", "lib", "tool"]),
        (("app>awk", "lib>awk"), ["app", "lib"]),
        (("other",), ["app", "awk", "lib", "tool"]),
    ],
)
def test_what_is_to_be_left_out_is_not_followed(
    tmp_path: Path, without: tuple[str, ...], packages: list[str]
) -> None:
    repository = Repository(
        [
            Deb("app", fields={"Depends": "lib, mawk | awk"}),
            Deb("lib", fields={"Pre-Depends": "awk"}),
            Deb("awk", fields={"Depends": "tool"}),
            Deb("tool"),
        ]
    )
    wanted = replace(request("app"), without=without)
    lock = locked(tmp_path, repository, {"app": wanted})
    assert [one.name for one in lock.packages_of("app")] == packages


def test_what_is_left_out_is_part_of_what_was_asked_for() -> None:
    plain = request("app")
    assert replace(plain, without=("awk",)).digest != plain.digest


def test_an_image_keeps_its_epoch_for_as_long_as_its_packages(tmp_path: Path) -> None:
    debs = [Deb("app"), Deb("web"), Deb("more")]
    first = Repository(debs, date=dt.datetime(2025, 12, 1, tzinfo=dt.UTC))
    before = locked(tmp_path, first, {"app": request("app"), "web": request("web")})
    later = Repository(debs, key=first.key)
    both = {"app": request("app"), "web": request("web", "more"), "new": request("more")}
    after = locked(tmp_path, later, both, before)
    epochs = {name: one.epoch for name, one in after.images.items()}
    old, new = int(first.date.timestamp()), int(later.date.timestamp())
    assert epochs == {"app": old, "web": new, "new": new}
    assert after.epoch == new
