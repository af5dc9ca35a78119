"""Store paths from real binary caches, and into them, judged by Nix itself."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from osloom.base.errors import FetchError
from osloom.base.progress import Event, Reporter, silent
from osloom.engine.executor import LocalExecutor, Made
from osloom.engine.step import Given, Step
from osloom.fetch.download import GoneError
from osloom.model.closure import StorePath
from osloom.model.providers import Cache, Nix
from osloom.model.tree import Tree
from osloom.sources.nix.fetch import fetch_store_paths
from osloom.sources.nix.steps import plan_store_path
from osloom.store.collect import prune, usage
from osloom.store.store import Store
from support import s3
from support.cli import Done, osloom
from support.nix import COMPRESSIONS, NixWorld
from support.store_paths import locked, materialise, registration, trees

NO_SETTINGS = {
    "NIX_USER_CONF_FILES": "",
    "NIX_CONF_DIR": "/nonexistent",
    "NIX_REMOTE": "/nonexistent",
    "NIX_CONFIG": "substituters =\ntrusted-public-keys =\n",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has of Nix."""
    for name, value in NO_SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.close()


def fetch(
    own: Store, paths: list[StorePath], *caches: Cache, report: Reporter = silent
) -> dict[str, Tree]:
    nix = Nix(cache=caches)
    fetch_store_paths(own, paths, nix, directory=Path("/"), report=report)
    return trees(own, paths)


def check_whole(world: NixWorld, own: Store, paths: list[StorePath], root: Path) -> None:
    """Whether Nix finds that the files of osloom's trees are what was locked."""
    for tree in trees(own, paths).values():
        materialise(own, tree, root)
    world.nix_store("--load-db", root=root, stdin=registration(paths)).check()
    said = world.nix_store("--verify", "--check-contents", root=root).check()
    assert not re.search("error|warning|modified|disappeared", said.stderr), said.stderr


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_comes_from_a_cache_is_what_nix_has(
    nix_world: NixWorld, own: Store, tmp_path: Path, compression: str
) -> None:
    paths = locked(nix_world, *nix_world.paths)
    cache = nix_world.cache(compression)
    if compression in ("xz", "none"):
        found = fetch(own, paths, Cache(url=f"file://{cache}", keys=(nix_world.key,)))
    else:
        with nix_world.serve(cache) as server:
            found = fetch(own, paths, Cache(url=server.url, keys=(nix_world.key,)))
    assert found.keys() == {path.name for path in paths}
    check_whole(nix_world, own, paths, tmp_path / "root")


def test_a_store_on_this_machine_gives_the_same_trees(
    nix_world: NixWorld, own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = locked(nix_world, *nix_world.paths)
    cache = Cache(url=f"file://{nix_world.cache('zstd')}", keys=(nix_world.key,))
    other = Store(tmp_path / "other")
    wanted = fetch(other, paths, cache)
    other.close()
    monkeypatch.setenv("NIX_REMOTE", f"local?root={nix_world.directory}")
    assert fetch(own, paths) == wanted


def test_osloom_has_a_store_of_its_own(nix_world: NixWorld, own: Store) -> None:
    (own.root / "nix").symlink_to(nix_world.directory)
    paths = locked(nix_world, "app")
    assert fetch(own, paths).keys() == {path.name for path in paths}


def test_a_local_path_that_was_changed_is_taken_from_a_cache(
    nix_world: NixWorld, own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = locked(nix_world, "library")
    place = tmp_path / "nix/store" / path.name / "lib"
    place.mkdir(parents=True)
    (place / "libgreet.sh").write_text("evil")
    monkeypatch.setenv("NIX_REMOTE", os.fspath(tmp_path))
    with pytest.raises(FetchError, match=f"cannot take {path.name} from .*: its NAR hash is"):
        fetch(own, [path])
    assert usage(own).blobs == 0
    notes: list[Event] = []
    cache = Cache(url=f"file://{nix_world.cache('xz')}", keys=(nix_world.key,))
    assert fetch(own, [path], cache, report=notes.append)
    assert any(one.kind == "note" and "its NAR hash is" in one.title for one in notes)


def test_large_files_of_a_local_store_are_blobs_of_their_own(
    nix_world: NixWorld, own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").write_bytes(os.urandom(3 << 20) + b"tail")
    path = nix_world.add(tmp_path / "large", "large")
    info = nix_world.nix("path-info", "--json", path).check().json[path]
    nar_hash = nix_world.nix("hash", "to-base16", info["narHash"]).check().stdout.strip()
    wanted = StorePath(
        name=Path(path).name, nar_hash=f"sha256:{nar_hash}", nar_size=info["narSize"]
    )
    monkeypatch.setenv("NIX_REMOTE", os.fspath(nix_world.directory))
    ((_, node),) = fetch(own, [wanted])[wanted.name].items()
    assert node.digest is not None
    blob = own.blobs.path(node.digest)
    inside = nix_world.directory / path.lstrip("/")
    assert blob.read_bytes() == inside.read_bytes()
    assert blob.stat().st_ino != inside.stat().st_ino


class Asked(LocalExecutor):
    """Counts what it is asked for."""

    count = 0

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        self.count += 1
        return super().run(step, given, report=report)


@pytest.fixture
def workers(own: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Who take part however little there is to fetch."""
    for name in ("_LEAST", "_STARTED"):
        monkeypatch.setattr(f"osloom.sources.nix.fetch.{name}", 1)
    made = Asked(own, slots=3)
    yield made
    made.stop()


def test_workers_and_this_process_share_the_paths(
    nix_world: NixWorld, own: Store, tmp_path: Path, workers: Asked
) -> None:
    paths = locked(nix_world, *nix_world.paths)
    nix = Nix(cache=(Cache(url=f"file://{nix_world.cache('zstd')}", keys=(nix_world.key,)),))
    fetch_store_paths(own, paths, nix, directory=tmp_path, report=silent, executor=workers)
    assert workers.count > 1
    check_whole(nix_world, own, paths, tmp_path / "root")


def test_what_a_worker_refuses_is_said_and_nothing_of_it_stays(
    nix_world: NixWorld, own: Store, tmp_path: Path, workers: Asked
) -> None:
    first, *others = sorted(locked(nix_world, *nix_world.paths), key=lambda one: -one.nar_size)
    wrong = [msgspec.structs.replace(one, nar_hash=first.nar_hash) for one in others]
    nix = Nix(cache=(Cache(url=f"file://{nix_world.cache('zstd')}", keys=(nix_world.key,)),))
    with pytest.raises(FetchError, match="and the lock has"):
        fetch_store_paths(
            own, [first, *wrong], nix, directory=tmp_path, report=silent, executor=workers
        )
    assert workers.count
    assert all(own.results.find(plan_store_path(one).step.key) is None for one in wrong)


def test_what_is_nowhere_is_named(nix_world: NixWorld, own: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/nix-cache-info").write_text("StoreDir: /nix/store\n")
    paths = locked(nix_world, "app")
    with pytest.raises(GoneError) as caught:
        fetch(own, paths, Cache(url=f"file://{tmp_path}/empty", keys=(nix_world.key,)))
    assert all(path.name in caught.value.message for path in paths)
    assert caught.value.detail == f"not in file://{tmp_path}/empty"
    assert usage(own).blobs == 0


def test_pruning_keeps_what_is_used_and_takes_the_rest(nix_world: NixWorld, own: Store) -> None:
    paths = locked(nix_world, "app")
    cache = Cache(url=f"file://{nix_world.cache('zstd')}", keys=(nix_world.key,))
    wanted = fetch(own, paths, cache)
    prune(own, days=1)
    assert trees(own, paths) == wanted
    assert all(
        own.blobs.find(node.digest)
        for tree in wanted.values()
        for node in tree.values()
        if node.digest
    )
    prune(own, days=-1)
    assert usage(own).blobs == 0


def test_the_settings_of_nix_are_those_of_osloom(
    nix_world: NixWorld, own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = locked(nix_world, "app")
    (tmp_path / "nix.conf").write_text("include keys.conf\n")
    (tmp_path / "keys.conf").write_text(f"extra-trusted-public-keys = {nix_world.key}\n")
    monkeypatch.setenv("NIX_CONF_DIR", os.fspath(tmp_path))
    with nix_world.serve(nix_world.cache("zstd")) as server:
        monkeypatch.setenv("NIX_CONFIG", f"substituters = {server.url}")
        assert fetch(own, paths).keys() == {path.name for path in paths}


def test_a_cache_that_lets_wait_is_asked_for_several_paths_at_once(
    nix_world: NixWorld, own: Store
) -> None:
    paths = locked(nix_world, *nix_world.paths)
    with nix_world.serve(nix_world.cache("zstd")) as server:
        server.pause = 0.1
        found = fetch(own, paths, Cache(url=server.url, keys=(nix_world.key,)))
    assert found.keys() == {path.name for path in paths}
    assert 2 < server.most <= 8


@dataclass(frozen=True)
class Project:
    """One whose image takes the application from a cache."""

    directory: Path
    store: Path

    def __call__(self, *words: str, store: Path | None = None) -> Done:
        given = {"OSLOOM_STORE": str(store or self.store), **NO_SETTINGS}
        return osloom(self.directory, *words, **given)

    def push(self, *words: str) -> Done:
        return self("push", "--json", "--nix-cache", *words)


@pytest.fixture(scope="module")
def project(nix_world: NixWorld, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"), store)
    cache = f'url = "file://{nix_world.cache("zstd")}"\nkeys = ["{nix_world.key}"]\n'
    (made.directory / "osloom.toml").write_text(
        f'[[nix.cache]]\n{cache}\n[image.app]\nnix = ["{nix_world.paths["app"]}"]\n'
        'outputs = ["oci"]\n'
    )
    made("lock").check()
    return made


def check_accepted(world: NixWorld, url: str, key: str, root: Path) -> None:
    """Whether Nix takes the application from a cache, by one key, and finds it whole."""
    root.mkdir()
    settings = f"trusted-public-keys = {key}\n"
    app = world.paths["app"]
    world.nix("path-info", "--recursive", "--store", url, app, settings=settings).check()
    words = ("store", "verify", "--recursive", "--store", url, app)
    world.nix(*words, settings=settings).check()
    world.nix("copy", "--from", url, app, root=root, settings=settings).check()
    world.nix_store("--verify", "--check-contents", root=root).check()


@pytest.mark.parametrize("compression", ["zstd", "xz", "gzip", "none"])
def test_nix_takes_what_was_pushed_into_a_directory(
    nix_world: NixWorld, project: Project, tmp_path: Path, compression: str
) -> None:
    cache = tmp_path / "cache"
    url = f"file://{cache}?compression={compression}"
    told = project.push(url, "--nix-key", str(nix_world.other_secret)).check().json
    assert {one["path"] for one in told} == set(nix_world.closure("app"))
    assert not any(one["unchanged"] for one in told)
    # By the key that the lock has the signature of, and by the one that was given.
    check_accepted(nix_world, f"file://{cache}", nix_world.key, tmp_path / "one")
    check_accepted(nix_world, f"file://{cache}", nix_world.other_key, tmp_path / "other")
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    again = project.push(str(cache), "app").check().json
    assert all(one["unchanged"] for one in again)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_an_archive_is_not_believed_by_its_size(
    nix_world: NixWorld, project: Project, tmp_path: Path
) -> None:
    """One was changed, one is whole; both lack what says that they are there."""
    cache = tmp_path / "cache"
    first = {one["path"]: one["sent"] for one in project.push(str(cache)).check().json}
    app, library = nix_world.paths["app"], nix_world.paths["library"]
    archives = {}
    for path in (app, library):
        info = cache / f"{Path(path).name[:32]}.narinfo"
        (url,) = (one[5:] for one in info.read_text().splitlines() if one.startswith("URL: "))
        archives[path] = cache / url
        info.unlink()
    whole = archives[app].read_bytes()
    archives[app].write_bytes(whole[:-20] + bytes(20))
    told = {one["path"]: one for one in project.push(str(cache)).check().json}
    assert archives[app].read_bytes() == whole
    assert (told[app]["sent"], told[app]["unchanged"]) == (first[app], False)
    assert (told[library]["sent"], told[library]["unchanged"]) == (0, False)
    check_accepted(nix_world, f"file://{cache}", nix_world.key, tmp_path / "root")


def test_pushes_make_the_same_bytes(nix_world: NixWorld, project: Project, tmp_path: Path) -> None:
    for name in ("one", "other"):
        words = ("push", "--nix-cache", str(tmp_path / name))
        project(*words, store=tmp_path / f"store-{name}").check()
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "other")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 2 * len(nix_world.closure("app")) + 1


def test_nix_takes_what_was_pushed_over_http(
    nix_world: NixWorld, project: Project, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with nix_world.serve(cache) as server:
        project.push(server.url).check()
        written = [one.partition(" ")[2] for one in server.requests if one.startswith("PUT")]
        check_accepted(nix_world, server.url, nix_world.key, tmp_path / "root")
    place = {name: number for number, name in enumerate(written)}
    infos = [name for name in written if name.endswith(".narinfo")]
    assert written[0] == "/nix-cache-info"
    assert len(infos) == len(nix_world.closure("app"))
    for name in infos:
        text = (cache / name[1:]).read_text()
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        assert place[f"/{fields['URL']}"] < place[name]
        for reference in fields.get("References", "").split():
            assert place[f"/{reference[:32]}.narinfo"] <= place[name]


def test_a_bucket_is_a_cache(
    nix_world: NixWorld, project: Project, own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.SECRET)
    paths = locked(nix_world, "app")
    with s3.s3() as server:
        url = f"s3://bucket/a b?endpoint={server.address}&scheme=http&region=eu-north-1"
        project.push(url).check()
        assert len(server.objects) == 2 * len(paths) + 1
        assert "/bucket/a%20b/nix-cache-info" in server.objects
        cache = Cache(url=url, keys=(nix_world.key,))
        assert fetch(own, paths, cache).keys() == {path.name for path in paths}
        assert server.refused == 0
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        done = project.push(url.replace("a b", "other"))
        assert done.status == 1
        assert "it answers with status 403" in done.json["error"]
        assert len(server.objects) == 2 * len(paths) + 1


def test_a_cache_that_has_something_else_is_left_alone(
    nix_world: NixWorld, project: Project, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    project.push(str(cache)).check()
    place = cache / f"{Path(nix_world.paths['app']).name[:32]}.narinfo"
    text = place.read_text()
    place.write_text(re.sub("NarSize: [0-9]+", "NarSize: 4711", text))
    done = project.push(str(cache))
    assert done.status == 1
    assert "`NarSize`" in done.json["error"]
    assert "4711" in place.read_text()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/nix-cache-info").write_text("StoreDir: /gnu/store\n")
    done = project.push(str(tmp_path / "foreign"))
    assert done.status == 1
    assert "its `StoreDir` is `/gnu/store`" in done.json["error"]
    assert len(list((tmp_path / "foreign").iterdir())) == 1


def test_what_cannot_be_pushed(project: Project, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("test-1:AAAA")
    done = project.push(str(tmp_path / "cache"), "--nix-key", str(tmp_path / "key"))
    assert done.status == 1
    assert "cannot use the secret key" in done.json["error"]
    assert "AAAA" not in done.stdout + done.stderr
    assert not (tmp_path / "cache").exists()
    done = project.push("")
    assert (done.status, done.json["hint"]) == (
        2,
        "name a directory or an address: `--nix-cache ./cache`",
    )
    assert not (project.directory / "nix-cache-info").exists()
    done = project.push(f"{tmp_path}/cache", "ap")
    assert done.status == 2
    assert done.json["hint"] == "did you mean `app`?"
    done = project("push", "--nix-key", str(tmp_path / "key"))
    assert done.status == 2
    assert "`--nix-key` needs `--nix-cache`" in done.stderr
