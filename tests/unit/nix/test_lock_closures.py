"""What is locked of Nix, with caches made by hand and a Nix that says what it is told."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from osloom.api.explain import why
from osloom.api.project import Project
from osloom.api.requests import NIX, requests
from osloom.api.session import check_fresh
from osloom.base.digest import digest_bytes
from osloom.base.errors import CommandError, LockError, UsageError
from osloom.base.progress import Event
from osloom.model.closure import StorePath
from osloom.model.definition import Definition, Image, NixPackages
from osloom.model.lock import Lock, LockedImage
from osloom.model.nix32 import format_hash
from osloom.model.providers import Cache, Nix
from osloom.sources.debian import lockfile
from osloom.sources.debian.lock import Previous
from osloom.sources.nix.evaluate import parse_path_info
from osloom.sources.nix.lock import lock_closures
from osloom.sources.nix.narinfo import NarInfo, format_narinfo
from osloom.sources.nix.signatures import SecretKey, public_key, sign
from osloom.store.store import Store

SECRET = SecretKey("test-1", bytes(32))


def path(name: str, *references: str, nar: bytes = b"nar") -> StorePath:
    digit = format(len(name) % 10, "d")
    return StorePath(
        name=f"{digit * 32}-{name}",
        nar_hash=digest_bytes(nar),
        nar_size=len(nar),
        references=tuple(sorted(references)),
    )


LIBRARY = path("libx-1")
APP = path("app-1.0", LIBRARY.name)
OTHER = path("another-2", LIBRARY.name)


def cache(directory: Path, *paths: StorePath) -> Path:
    """A file cache that says of `paths` what they are, signed."""
    directory.mkdir(exist_ok=True)
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    for one in paths:
        info = NarInfo(
            name=one.name,
            url="nar/x.nar",
            compression="none",
            nar_hash=one.nar_hash,
            nar_size=one.nar_size,
            references=one.references,
            signatures=(sign(one, SECRET),),
        )
        (directory / f"{one.name[:32]}.narinfo").write_text(format_narinfo(info))
    return directory


class FakeNix:
    """Knows what attributes are, and says it as Nix does."""

    def __init__(self, attributes: dict[str, StorePath], *known: StorePath) -> None:
        self._attributes = attributes
        self._known = {one.path: one for one in known}
        self.asked: list[str] = []

    def __call__(
        self, words: Sequence[str], *, visible: Sequence[Path] = (), hidden: Sequence[Path] = ()
    ) -> bytes:
        del visible, hidden
        self.asked.append(words[0])
        if words[0] == "path-info":
            return json.dumps({name: told(self._known[name]) for name in self._known}).encode()
        attribute = words[-1].partition("#")[2]
        if attribute not in self._attributes:
            raise CommandError(f"flake 'x' does not provide attribute '{attribute}'")
        outputs = {"out": self._attributes[attribute].path}
        return json.dumps([{"drvPath": "/x.drv", "outputs": outputs}]).encode()


def told(one: StorePath) -> dict[str, Any]:
    return {
        "narHash": format_hash(one.nar_hash),
        "narSize": one.nar_size,
        "references": [f"/nix/store/{name}" for name in one.references],
        "deriver": None,
        "ca": None,
    }


class Place:
    """A project's directory, with a store, a cache, and what was heard."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory / "store")
        self.cache = cache(directory / "cache")
        self.heard: list[Event] = []

    def definition(self, *installables: str, **images: Image) -> Definition:
        own = Cache(url=f"file://{self.cache}", keys=(public_key(SECRET),))
        app = Image(nix=NixPackages(packages=installables), outputs=("oci",))
        return Definition(nix=Nix(cache=(own,)), image={"app": app, **images})

    def lock(
        self,
        definition: Definition,
        nix: FakeNix | None = None,
        before: Lock | None = None,
        **settings: Any,
    ) -> Lock:
        def find_nix() -> FakeNix:
            assert nix is not None, "nothing should be evaluated"
            return nix

        images = {
            name: LockedImage(
                request=digest_bytes(b""),
                requested=(),
                suite="trixie",
                architecture="amd64",
                packages=(),
            )
            for name in definition.image
        }
        return lock_closures(
            Lock(epoch=0, repositories=(), packages=(), images=images),
            self.store,
            definition,
            directory=self.directory,
            previous=Previous(lock=before, **settings) if before else None,
            find_nix=find_nix,
            report=self.heard.append,
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    # What the machine of the tests has of Nix is not asked.
    for name in ("NIX_CONF_DIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NIX_REMOTE", str(tmp_path / "no-store"))
    return Place(tmp_path)


def test_a_store_path_is_followed_through_a_cache(place: Place) -> None:
    cache(place.cache, APP, LIBRARY)
    lock = place.lock(place.definition(APP.path))
    assert lock.images["app"].installables == {APP.path: (APP.name,)}
    assert [one.name for one in lock.closure_of("app")] == sorted([APP.name, LIBRARY.name])
    assert {one.caches for one in lock.store_paths} == {(f"file://{place.cache}",)}
    assert all(one.signatures for one in lock.store_paths)


def test_what_a_cache_has_is_taken_as_it_has_it(place: Place) -> None:
    """Whoever evaluated it: here it was built to something else, of other references."""
    (place.directory / "flake.nix").write_text("")
    cache(place.cache, APP, LIBRARY)
    here = msgspec.structs.replace(APP, nar_hash=digest_bytes(b"here"), references=())
    nix = FakeNix({"packages.x86_64-linux.app": APP}, here)
    definition = place.definition(".#app")
    assert (
        place.lock(definition, nix).store_paths
        == place.lock(place.definition(APP.path)).store_paths
    )


def test_what_no_cache_has_is_locked_as_nix_says_it(place: Place) -> None:
    cache(place.cache, LIBRARY)
    nix = FakeNix({"legacyPackages.x86_64-linux.app": APP}, APP, LIBRARY)
    lock = place.lock(place.definition("nixpkgs#app"), nix)
    assert nix.asked == ["build", "build", "path-info"]
    assert {one.name: one.caches for one in lock.store_paths} == {
        APP.name: (),
        LIBRARY.name: (f"file://{place.cache}",),
    }


def test_nothing_is_asked_again_until_something_changes(place: Place) -> None:
    flake = place.directory / "flake/flake.nix"
    flake.parent.mkdir()
    flake.write_text("one")
    attributes = {"packages.x86_64-linux.app": APP, "packages.x86_64-linux.other": OTHER}
    nix = FakeNix(attributes, APP, LIBRARY, OTHER)
    first = place.lock(place.definition("./flake#app"), nix)
    assert place.lock(place.definition("./flake#app"), before=first) == first

    # What is new is asked for, and nothing else.
    nix.asked.clear()
    second = place.lock(place.definition("./flake#app", "./flake#other"), nix, before=first)
    assert nix.asked == ["build", "path-info"]
    assert len(second.store_paths) == 3
    assert place.lock(place.definition("./flake#app"), before=second) == first

    for upgrade in ({"upgrade": ("./flake#app",)}, {"upgrade_all": True}):
        nix.asked.clear()
        place.lock(place.definition("./flake#app"), nix, before=first, **upgrade)
        assert nix.asked == ["build", "path-info"]
    flake.write_text("two")
    nix.asked.clear()
    place.lock(place.definition("./flake#app"), nix, before=first)
    assert nix.asked == ["build", "path-info"]


def test_a_path_that_comes_into_a_cache_is_found_there(place: Place) -> None:
    nix = FakeNix({"packages.x86_64-linux.app": APP}, APP, LIBRARY)
    first = place.lock(place.definition("x#app"), nix)
    cache(place.cache, APP)
    second = place.lock(place.definition("x#app"), before=first)
    assert {one.name: bool(one.caches) for one in second.store_paths} == {
        APP.name: True,
        LIBRARY.name: False,
    }


def test_a_path_that_is_nowhere_is_named(place: Place) -> None:
    cache(place.cache, APP)
    with pytest.raises(LockError) as caught:
        place.lock(place.definition(APP.path))
    assert caught.value.message == (
        f"cannot find {LIBRARY.path}: it is in no Nix store of this machine, and not in "
        f"file://{place.cache}"
    )


def test_another_path_with_the_same_digits_is_not_it(place: Place) -> None:
    cache(place.cache, LIBRARY)
    wanted = LIBRARY.path + "x"
    with pytest.raises(LockError) as caught:
        place.lock(place.definition(wanted))
    assert f"it is of {LIBRARY.path}, and {wanted} was asked for" in caught.value.message


def test_an_override_that_no_flake_has_is_an_error(place: Place) -> None:
    class Inputs(FakeNix):
        def __call__(
            self, words: Sequence[str], *, visible: Sequence[Path] = (), hidden: Sequence[Path] = ()
        ) -> bytes:
            if words[0] == "flake":
                nodes = {"root": {"inputs": {"words": "a", "nixpkgs": "b"}}}
                return json.dumps({"locks": {"nodes": nodes, "root": "root"}}).encode()
            return super().__call__(words, visible=visible, hidden=hidden)

    definition = place.definition("x#app")
    nix = msgspec.structs.replace(definition.nix, overrides={"nixpgs": "path:."})
    definition = msgspec.structs.replace(definition, nix=nix)
    with pytest.raises(LockError) as caught:
        place.lock(definition, Inputs({}))
    said = "cannot override `nixpgs`: no flake of the definition has such an input"
    assert (caught.value.message, caught.value.hint) == (said, "did you mean `nixpkgs`?")


def test_the_lockfile_keeps_it(place: Place) -> None:
    cache(place.cache, APP, LIBRARY)
    lock = place.lock(place.definition(APP.path))
    text = lockfile.dump(lock)
    assert lockfile.parse(text.encode(), file="osloom.lock") == lock
    # One line a path.
    assert sum(line.startswith('{"name": ') for line in text.splitlines()) == 2


BROKEN = {
    "a path that is missing": (f'{{"name": "{LIBRARY.name}"', '{"name": "x"'),
    "a name that leads elsewhere": (LIBRARY.name, "../../../etc/passwd"),
}


@pytest.mark.parametrize(("old", "new"), BROKEN.values(), ids=BROKEN.keys())
def test_a_lockfile_with_a_broken_closure_is_refused(place: Place, old: str, new: str) -> None:
    cache(place.cache, APP, LIBRARY)
    text = lockfile.dump(place.lock(place.definition(APP.path))).replace(old, new)
    with pytest.raises(LockError, match=r"cannot (read osloom.lock|use)"):
        lockfile.parse(text.encode(), file="osloom.lock")


def test_a_lock_is_stale_when_something_else_is_asked_for(place: Place) -> None:
    cache(place.cache, APP, LIBRARY, OTHER)
    definition = place.definition(APP.path)
    locked = place.lock(definition)
    images = {
        name: msgspec.structs.replace(locked.images["app"], request=one.digest)
        for name, one in requests(definition).items()
    }
    lock = msgspec.structs.replace(locked, images=images)

    def check(definition: Definition) -> None:
        check_fresh(Project(path=place.directory / "osloom.toml", definition=definition), lock)

    check(definition)
    for other in (place.definition(OTHER.path), place.definition(APP.path, "x#y")):
        with pytest.raises(LockError, match="the lock is older than the definition of `app`"):
            check(other)


def test_an_image_of_nix_alone_asks_debian_for_nothing() -> None:
    nix = NixPackages(packages=("nixpkgs#hello",))
    images = {
        "alone": Image(nix=nix, outputs=("oci",)),
        "mixed": Image(nix=nix, packages=("dash",), outputs=("oci",)),
    }
    made = requests(Definition(image=images))
    assert made["alone"].names == ()
    assert made["mixed"].names == ("dash", "base-files", "ca-certificates", "tzdata")
    assert "nix-bin" in made[NIX].names
    assert NIX not in requests(Definition(image={"a": Image(packages=("dash",))}))


def test_why_takes_a_path_and_what_it_is_called(place: Place) -> None:
    cache(place.cache, APP, LIBRARY, OTHER)
    lock = place.lock(place.definition(APP.path, OTHER.path))
    for text in (LIBRARY.path, f"{LIBRARY.path}/lib/x.so", LIBRARY.name, "libx-1", "libx"):
        (reason,) = why(lock, text)
        assert reason.chain == (APP.path, APP.name, LIBRARY.name)
        assert reason.saved == 3
    (reason,) = why(lock, "app")
    assert reason.chain == (APP.path, APP.name)
    with pytest.raises(UsageError) as caught:
        why(lock, "lixb")
    assert caught.value.hint == "did you mean `libx`?"


def test_both_forms_of_path_info_are_understood() -> None:
    of_2_26 = {APP.path: told(APP)}
    of_2_18 = [{"path": APP.path, **told(APP)}]
    for said in (of_2_26, of_2_18):
        assert parse_path_info(json.dumps(said).encode()) == [APP]


@pytest.mark.parametrize(
    "said", ["", "1", "[1]", '{"/nix/store/x": {}}', f'{{"{APP.path}": null}}']
)
def test_what_no_nix_says_is_refused(said: str) -> None:
    with pytest.raises(LockError, match="cannot understand what this Nix says of store paths"):
        parse_path_info(said.encode())
