"""What images take from Nix, locked with Nix and without; nothing of Nix is on the host."""

import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from osloom.model.lock import Lock
from osloom.sources.debian import lockfile
from support.cli import Done, osloom
from support.nix import NixWorld
from support.programs import Programs

OFFLINE = {"NIX_CONFIG": "substituters ="}
"""Nothing is asked of the caches that Nix has by itself."""


@dataclass(frozen=True)
class Made:
    """A flake whose paths nothing has ever seen, and a cache of what the world's Nix built of it."""

    flake: Path
    app: str
    """Base name."""
    cache: Path


@pytest.fixture(scope="module")
def made(nix_world: NixWorld, tmp_path_factory: pytest.TempPathFactory) -> Made:
    directory = tmp_path_factory.mktemp("made")
    flake = nix_world.make_flake(directory / "flake")
    change(flake, "all is well", f"all is well with {secrets.token_hex(8)}")
    words = ("build", "--no-link", "--print-out-paths", f"path:{flake}#app")
    app = nix_world.nix(*words).check().stdout.strip()
    signing = ("store", "sign", "--recursive", "--key-file", nix_world.secret, app)
    nix_world.nix(*signing).check()
    cache = nix_world.copy(directory / "cache", app, compression="zstd")
    return Made(flake, app.removeprefix("/nix/store/"), cache)


def change(flake: Path, old: str, new: str) -> None:
    text = (flake / "flake.nix").read_text()
    assert old in text
    (flake / "flake.nix").write_text(text.replace(old, new))


class Project:
    """A definition with one image `app`, and osloom in it."""

    def __init__(self, directory: Path, store: Path, image: str, *, nix: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._store = store
        self.write(image, nix=nix)

    def write(self, image: str, *, nix: str = "") -> None:
        text = f'{nix}\n[image.app]\noutputs = ["oci"]\n{image}\n'
        (self.directory / "osloom.toml").write_text(text)

    def __call__(self, *arguments: str, **extra: str) -> Done:
        given = {**OFFLINE, "OSLOOM_STORE": str(self._store), **extra}
        return osloom(self.directory, *arguments, **given)

    def lock(self, *arguments: str, **extra: str) -> Lock:
        self("lock", *arguments, **extra).check()
        return lockfile.load(self.directory / "osloom.lock")

    def refusal(self, *arguments: str) -> str:
        """Message and hint of a command that has to fail."""
        done = self(*arguments)
        assert done.status != 0, done.stdout
        return done.stderr


def cache_of(url: str | Path, *keys: str) -> str:
    address = f"file://{url}" if isinstance(url, Path) else url
    return f'[[nix.cache]]\nurl = "{address}"\nkeys = {msgspec.json.encode(keys).decode()}\n'


def test_the_lock_and_the_image_are_the_same_with_nix_and_without(
    nix_world: NixWorld, made: Made, store: Path, tmp_path: Path
) -> None:
    with nix_world.serve(made.cache) as server:
        cache = cache_of(server.url, nix_world.key)
        without = Project(
            tmp_path / "without", store, f'nix = ["/nix/store/{made.app}"]', nix=cache
        )
        named = without.lock()
        # Nix had no part in it: its store, where it would be, has nothing of it.
        assert not (store / "nix/nix/store" / made.app).exists()
        built = without("build", "--json").check().digests

        project = Project(tmp_path / "with", store, 'nix = ["FLAKE#app"]', nix=cache)
        project.write(f'nix = ["path:{made.flake}#app"]', nix=cache)
        evaluated = project.lock()
        assert (store / "nix/nix/store" / made.app).exists()
        assert evaluated.store_paths == named.store_paths
        assert evaluated.images["app"].installables == {f"path:{made.flake}#app": (made.app,)}
        assert project("build", "--json").check().digests == built

        # Another machine: its store is empty, and neither Nix nor the flake is there.
        other = Project(tmp_path / "other", tmp_path / "store", "", nix=cache)
        for name in ("osloom.toml", "osloom.lock"):
            shutil.copy(project.directory / name, other.directory / name)
        assert other("build", "--json").check().digests == built
        assert not (tmp_path / "store/nix").exists()
        info = nix_world.path_info(f"/nix/store/{made.app}")
    assert {path.path for path in named.store_paths} == set(info)
    for path in named.store_paths:
        said = info[path.path]
        assert [f"/nix/store/{name}" for name in path.references] == sorted(said["references"])
        assert (path.nar_size, list(path.signatures)) == (said["narSize"], said["signatures"])
        assert path.content_address == said["ca"]
        assert path.caches == (server.url,)


def test_what_is_only_here_is_said_until_a_cache_has_it(
    nix_world: NixWorld, made: Made, store: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path, store, f'nix = ["path:{made.flake}#app"]')
    said = project("lock").check().stderr
    assert "are in no binary cache: `osloom push --nix-cache` puts them into one" in said
    assert {path.caches for path in lockfile.load(tmp_path / "osloom.lock").store_paths} == {()}
    # Nothing is evaluated again; the cache is asked all the same.
    project.write(f'nix = ["path:{made.flake}#app"]', nix=cache_of(made.cache, nix_world.key))
    said = project("lock").check().stderr
    assert "evaluate" not in said
    assert "binary cache" not in said
    lock = lockfile.load(tmp_path / "osloom.lock")
    assert {path.caches for path in lock.store_paths} == {(f"file://{made.cache}",)}


def test_a_local_flake_is_evaluated_again_when_its_files_have_changed(
    nix_world: NixWorld, store: Path, tmp_path: Path
) -> None:
    nix_world.make_flake(tmp_path / "project")
    project = Project(tmp_path / "project", store, 'nix = [".#web"]')
    first = project.lock()
    assert "evaluate" not in project("lock").check().stderr
    project("build").check()
    # What osloom writes beside the flake is no change of it.
    assert "evaluate" not in project("lock").check().stderr

    change(project.directory, "served by nix", "served by osloom")
    second = project("lock", "--json").check().json
    assert second["changed"]
    assert len(second["added"]) == len(second["removed"]) == 1
    assert first != lockfile.load(project.directory / "osloom.lock")
    assert "evaluate" in project("lock", "--upgrade-package", ".#web").check().stderr
    assert "it is not in the lock" in project.refusal("lock", "--upgrade-package", ".#wep")


def test_a_build_notices_that_the_definition_asks_for_something_else(
    nix_world: NixWorld, made: Made, store: Path, tmp_path: Path
) -> None:
    cache = cache_of(made.cache, nix_world.key)
    project = Project(tmp_path, store, f'nix = ["/nix/store/{made.app}"]', nix=cache)
    project.lock()
    project("build").check()
    project.write(f'nix = ["path:{made.flake}#app"]', nix=cache)
    stale = "the lock is older than the definition of `app`"
    assert stale in project.refusal("build")
    project.lock()
    project.write("", nix=cache)
    assert stale in project.refusal("build")


def test_outdated_shows_what_a_flake_would_become(
    nix_world: NixWorld, store: Path, tmp_path: Path
) -> None:
    nix_world.make_flake(tmp_path / "project")
    project = Project(tmp_path / "project", store, 'nix = [".#web"]')
    (before,) = project.lock().images["app"].installables[".#web"]
    assert project("outdated", "--json").check().json == []
    change(project.directory, "served by nix", "served by something else")
    (found,) = project("outdated", "--json").check().json
    assert (found["package"], found["locked"], found["repository"]) == (".#web", before, ".")
    assert found["available"].endswith("-web-0.9")
    assert found["available"] != before


INPUT = """{
  inputs.words.url = "path:WORDS";
  outputs = { self, words }: {
    packages.x86_64-linux.text = builtins.derivation {
      name = "text-1"; system = "x86_64-linux"; builder = "/bin/sh";
      args = [ "-c" "echo ${words.text} > $out" ];
    };
    nixosConfigurations.gateway.config.system.build.toplevel =
      self.packages.x86_64-linux.text;
  };
}
"""


def text_of(project: Project, store: Path, installable: str) -> str:
    (name,) = project.lock().images["app"].installables[installable]
    return (store / "nix/nix/store" / name).read_text()


def test_inputs_of_flakes_can_be_others(nix_world: NixWorld, store: Path, tmp_path: Path) -> None:
    for word in ("one", "other"):
        (tmp_path / word).mkdir()
        text = f'{{ outputs = {{ self }}: {{ text = "{word}"; }}; }}\n'
        (tmp_path / word / "flake.nix").write_text(text)
    project = Project(tmp_path / "project", store, 'nix = [".#text"]')
    text = INPUT.replace("WORDS", str(tmp_path / "one"))
    (project.directory / "flake.nix").write_text(text)
    nix_world.nix("flake", "lock", f"path:{project.directory}").check()
    assert text_of(project, store, ".#text") == "one\n"
    other = '[nix.overrides]\nNAME = "path:../other"\n'
    project.write('nix = [".#text"]', nix=other.replace("NAME", "words"))
    assert text_of(project, store, ".#text") == "other\n"

    project.write('nix = [".#text"]', nix=other.replace("NAME", "word"))
    said = project.refusal("lock")
    assert "cannot override `word`: no flake of the definition has such an input" in said
    assert "did you mean `words`?" in said
    # A flake that is called by a name is another one by the same key.
    project.write('nix = ["mine#text"]', nix='[nix.overrides]\nmine = "path:."\n')
    (project.directory / "flake.lock").unlink()
    own = INPUT.replace("path:WORDS", "path:./words")
    (project.directory / "flake.nix").write_text(own)
    (project.directory / "words").mkdir()
    (project.directory / "words/flake.nix").write_text('{ outputs = _: { text = "own"; }; }\n')
    assert text_of(project, store, "mine#text") == "own\n"


def test_a_system_is_its_toplevel(store: Path, tmp_path: Path) -> None:
    """By its whole attribute, and by its name as `nixos-rebuild --flake` takes it."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words/flake.nix").write_text('{ outputs = _: { text = "system"; }; }\n')
    (tmp_path / "flake.nix").write_text(INPUT.replace("path:WORDS", "path:./words"))
    for installable in (".#nixosConfigurations.gateway", ".#gateway"):
        project = Project(tmp_path, store, f'nixos = "{installable}"')
        assert text_of(project, store, installable) == "system\n"


REFUSED = {
    "an attribute that is not there": (
        ".#nothing",
        "cannot lock `.#nothing`: flake 'path:",
    ),
    "a flake that is not there": (
        "path:./nowhere#app",
        "cannot read the flake `path:",
    ),
    "an expression that fails": (
        ".#broken",
        "cannot lock `.#broken`: it is broken",
    ),
    "a build that fails": (
        ".#failing",
        "cannot lock `.#failing`: builder for '/nix/store/",
    ),
}
FAILING = """{ outputs = _: { packages.x86_64-linux = {
  broken = throw "it is broken";
  failing = derivation {
    name = "failing"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "exit 3" ];
  };
}; }; }
"""


@pytest.mark.parametrize(("installable", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nix_refuses_is_said_in_its_words(
    installable: str, said: str, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "flake.nix").write_text(FAILING)
    project = Project(tmp_path, store, f'nix = ["{installable}"]')
    assert said in project.refusal("lock")
    assert not (tmp_path / "osloom.lock").exists()


def test_a_path_that_cannot_be_had_or_trusted_is_refused(
    nix_world: NixWorld, store: Path, tmp_path: Path
) -> None:
    """Of a store path that no Nix of this machine knows, and of caches of several kinds."""
    path = nix_world.build(f'derivation (p.greet.drvAttrs // {{ A = "{secrets.token_hex(8)}"; }})')
    unsigned = f'derivation (p.greet.drvAttrs // {{ B = "{secrets.token_hex(8)}"; }})'
    words = ("build", "--impure", "--no-link", "--print-out-paths", "--expr")
    flake = f'builtins.getFlake "path:{nix_world.flake}"'
    whole = f"let p = ({flake}).packages.${{builtins.currentSystem}}; in {unsigned}"
    bare = nix_world.nix(*words, whole).check().stdout.strip()
    cache = nix_world.copy(tmp_path / "cache", path, bare)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    project = Project(tmp_path / "project", store, f'nix = ["{path}"]')

    def refused(which: str, definition: str) -> str:
        project.write(f'nix = ["{which}"]', nix=definition)
        return project.refusal("lock")

    nowhere = f"cannot find {path}: it is in no Nix store of this machine"
    assert nowhere in refused(path, cache_of(empty, nix_world.key))
    wrong = refused(path, cache_of(cache, nix_world.other_key))
    assert f"cannot find {path}: cannot trust {path}: it is signed by `test-1`" in wrong
    said = refused(bare, cache_of(cache, nix_world.key))
    assert f"cannot trust {bare}: it is not signed" in said
    down = refused(path, cache_of("http://127.0.0.1:1", nix_world.key))
    assert f"cannot find {path}: " in down
    assert "127.0.0.1:1" in down
    # One of two that has it is enough; of the other it is said what is wrong.
    both = cache_of(tmp_path / "nothing", nix_world.key) + cache_of(cache, nix_world.key)
    project.write(f'nix = ["{path}"]', nix=both)
    noted = project("lock").check().stderr
    assert "it is no binary cache" in noted


def test_files_that_git_does_not_know_are_not_of_a_flake(
    nix_world: NixWorld, store: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = Programs(tmp_path_factory.mktemp("git"), store, "git", "bubblewrap")
    top = tmp_path / "repository"
    nix_world.make_flake(top / "flake")

    def git(*words: str) -> None:
        programs("usr/bin/git", "-C", top, *words)

    git("init", "--quiet")
    git("add", "flake")
    project = Project(top / "flake", store, 'nix = [".#web"]')
    (before,) = project.lock().images["app"].installables[".#web"]
    (top / "flake/notes").write_text("of nobody's interest\n")
    assert "evaluate" not in project("lock").check().stderr
    git("add", "flake/notes")
    assert "evaluate" in project("lock").check().stderr
    change(top / "flake", "served by nix", "served from git")
    (after,) = project.lock().images["app"].installables[".#web"]
    assert before != after


def test_an_image_for_several_machines_has_paths_of_each(
    nix_world: NixWorld, store: Path, tmp_path: Path
) -> None:
    """Those of another machine come from a cache, where somebody built them."""
    flake = nix_world.make_flake(tmp_path / "flake")
    built = {}
    for system in ("x86_64-linux", "aarch64-linux"):
        words = ("build", "--no-link", "--print-out-paths", f"path:{flake}#packages.{system}.data")
        path = nix_world.nix(*words, settings="extra-platforms = aarch64-linux\n").check()
        built[system] = path.stdout.strip()
    nix_world.nix("store", "sign", "--key-file", nix_world.secret, *built.values()).check()
    cache = nix_world.copy(tmp_path / "cache", *built.values(), compression="none")
    machines = 'architectures = ["amd64", "arm64"]'
    image = f'nix = ["path:{flake}#data"]\n{machines}'
    project = Project(tmp_path / "project", store, image, nix=cache_of(cache, nix_world.key))
    images = project.lock().images
    assert {
        name: f"/nix/store/{images[name].installables[f'path:{flake}#data'][0]}"
        for name in ("app/amd64", "app/arm64")
    } == {
        "app/amd64": built["x86_64-linux"],
        "app/arm64": built["aarch64-linux"],
    }


def test_the_nix_of_the_host_is_taken_where_there_is_one(
    nix_world: NixWorld, made: Made, store: Path, tmp_path: Path
) -> None:
    program = tmp_path / "bin/nix"
    program.parent.mkdir()
    words = nix_world._inside(nix_world.directory, "", None)
    # As a host's, it can read osloom's store.
    words[-3:-3] = ["--ro-bind", str(store), str(store)]
    quoted = " ".join(f"'{word}'" for word in words)
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {quoted} nix "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    cache = cache_of(made.cache, nix_world.key)
    project = Project(tmp_path / "project", store, f'nix = ["path:{made.flake}#app"]', nix=cache)
    path = f"{program.parent}:{os.environ['PATH']}"
    assert project.lock(PATH=path).images["app"].installables == {
        f"path:{made.flake}#app": (made.app,)
    }
    assert len((tmp_path / "asked").read_text().splitlines()) == 2


def test_a_path_is_explained(nix_world: NixWorld, made: Made, store: Path, tmp_path: Path) -> None:
    cache = cache_of(made.cache, nix_world.key)
    app = f"/nix/store/{made.app}"
    project = Project(tmp_path, store, f'nix = ["{app}"]', nix=cache)
    project.lock()
    names = {name: path.removeprefix("/nix/store/") for name, path in nix_world.paths.items()}
    (reason,) = project("why", "libgreet", "--json").check().json
    assert reason == {
        "image": "app",
        "chain": [app, made.app, names["library"]],
        "requested": True,
        "saved": 488,
    }
    lines = [
        f"app (asked for): {app} -> {made.app} -> {names['library']}",
        "  without it: 488 B less",
    ]
    library = f"/nix/store/{names['library']}"
    assert project("why", f"{library}/lib").check().stdout.splitlines() == lines
    # Whether a file is in it is known once the path was fetched.
    project("build").check()
    assert project("why", f"{library}/lib/libgreet.sh").check().stdout.splitlines() == lines
    assert project.refusal("why", f"{library}/lib/libgreets.sh") == (
        f"error: cannot explain `{library}/lib/libgreets.sh`: there is no such file in {library}\n"
        f"hint: did you mean `{library}/lib/libgreet.sh`?\n"
    )
    assert "did you mean `libgreet`?" in project.refusal("why", "libgret")

    told = project("inspect", "app", "--json").check().json["nix"]
    sizes = {path: one["narSize"] for path, one in nix_world.path_info(app).items()}
    assert {f"/nix/store/{one['name']}": one["size"] for one in told["paths"]} == sizes
    (whole,) = told["installables"]
    total = sum(sizes.values())
    assert whole == {"name": app, "paths": [made.app], "closure": total, "saved": total}
