"""Store paths from real binary caches, judged by Nix itself."""

import os
from pathlib import Path

import pytest

from osloom.base.progress import silent
from osloom.model.closure import StorePath
from osloom.model.providers import Cache, Nix
from osloom.model.tree import Tree
from osloom.sources.nix.fetch import fetch_store_paths
from osloom.store.store import Store
from support.nix import COMPRESSIONS, NixWorld
from support.store_paths import locked, materialise, registration, trees


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has of Nix."""
    monkeypatch.setenv("NIX_CONF_DIR", os.fspath(tmp_path))
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")
    monkeypatch.setenv("NIX_REMOTE", os.fspath(tmp_path))
    monkeypatch.setenv("NIX_CONFIG", "substituters =\ntrusted-public-keys =\n")


def fetch(store: Store, paths: list[StorePath], url: str, *keys: str) -> dict[str, Tree]:
    nix = Nix(cache=(Cache(url=url, keys=keys),))
    fetch_store_paths(store, paths, nix, directory=Path("/"), report=silent)
    return trees(store, paths)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_comes_from_a_cache_is_what_nix_has(
    nix_world: NixWorld, tmp_path: Path, compression: str
) -> None:
    paths = locked(nix_world, *nix_world.paths)
    cache = nix_world.cache(compression)
    store = Store(tmp_path / "store")
    if compression in ("xz", "none"):
        found = fetch(store, paths, f"file://{cache}", nix_world.key)
    else:
        with nix_world.serve(cache) as server:
            found = fetch(store, paths, server.url, nix_world.key)
    assert found.keys() == {path.name for path in paths}
    root = tmp_path / "root"
    for tree in found.values():
        materialise(store, tree, root)
    nix_world.nix_store("--load-db", root=root, stdin=registration(paths)).check()
    said = nix_world.nix_store("--verify", "--check-contents", root=root).check()
    assert "error" not in said.stderr
    assert "warning" not in said.stderr
