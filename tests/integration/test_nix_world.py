"""What the other tests of Nix stand on is what it says that it is."""

from pathlib import Path

from support.nix import NixWorld


def test_the_closure_runs_and_is_clean(nix_world: NixWorld) -> None:
    said = nix_world.nix("run", f"path:{nix_world.flake}#app").check()
    assert said.stdout == "Hello, world\nall is well\nlower\n1\n"
    assert nix_world.nix_store("--verify", "--check-contents").check().status == 0


def test_the_closure_has_every_kind_of_path(nix_world: NixWorld) -> None:
    paths, told = nix_world.paths, nix_world.path_info("app", "tool.dev")
    references = {name: told[path]["references"] for name, path in paths.items() if path in told}
    assert len(told) >= 8
    assert paths["app"] in references["app"]
    assert {paths["greet"], paths["library"]} <= set(references["app"])
    assert paths["library"] in references["greet"]
    assert references["tool.dev"] == [paths["tool"]]
    addresses = {
        name: told[paths[name]]["ca"].rsplit(":", 1)[0]
        for name in ("message", "fixed", "fixedTree")
    }
    assert addresses == {
        "message": "text:sha256",
        "fixed": "fixed:sha256",
        "fixedTree": "fixed:r:sha256",
    }


def test_nix_copies_what_is_signed_from_a_cache(nix_world: NixWorld, tmp_path: Path) -> None:
    trusted = f"trusted-public-keys = {nix_world.key}\n"
    with nix_world.serve(nix_world.cache("zstd")) as server:
        words = ("copy", "--from", server.url, nix_world.paths["app"])
        nix_world.nix(*words, root=tmp_path, settings=trusted).check()
    assert nix_world.nix_store("--verify", "--check-contents", root=tmp_path).check()
    stranger = f"trusted-public-keys = {nix_world.other_key}\n"
    (tmp_path / "strict").mkdir()
    words = ("copy", "--from", f"file://{nix_world.cache('zstd')}", nix_world.paths["app"])
    refused = nix_world.nix(*words, root=tmp_path / "strict", settings=stranger)
    assert "lacks a signature by a trusted key" in refused.stderr
