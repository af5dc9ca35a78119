"""What osloom takes for Nix's formats is what Nix writes, and Nix reads what osloom writes."""

import base64
import hashlib
import io
import os
from pathlib import Path

import msgspec
import pytest

from osloom.base.digest import Digest, digest_bytes, to_hex
from osloom.base.errors import FetchError
from osloom.model.closure import StorePath
from osloom.model.nar import write_nar
from osloom.model.nix32 import encode32, parse_hash
from osloom.model.store_path import hash_part, make_fixed_path, name_problem, parse_store_path
from osloom.sources.nix.compression import decompressed
from osloom.sources.nix.content import check_content
from osloom.sources.nix.nar import Read, read_nar
from osloom.sources.nix.narinfo import format_narinfo, parse_narinfo, to_store_path
from osloom.sources.nix.signatures import (
    check_trusted,
    fingerprint,
    parse_secret_key,
    public_key,
    sign,
)
from osloom.store.store import Store
from support import nar
from support.nix import COMPRESSIONS, NixWorld, Said


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("blobs") / "store")


def told(world: NixWorld, *names: str) -> list[StorePath]:
    """What Nix's database has of the closures of `names`."""

    def base(path: str) -> str:
        return parse_store_path(path)

    return [
        StorePath(
            name=base(path),
            nar_hash=parse_hash(info["narHash"]),
            nar_size=info["narSize"],
            references=tuple(sorted(map(base, info["references"]))),
            deriver=base(info["deriver"]) if info.get("deriver") else None,
            signatures=tuple(info.get("signatures", ())),
            content_address=info.get("ca"),
        )
        for path, info in sorted(world.path_info(*names).items())
    ]


def out(said: Said) -> bytes:
    return said.check().stdout.encode(errors="surrogateescape")


def unpacked(blobs: Store, name: str, archive: bytes) -> Read:
    return read_nar(io.BytesIO(archive), blobs.blobs, name, limit=len(archive))


def packed(blobs: Store, read: Read, name: str) -> bytes:
    return b"".join(write_nar(read.tree, f"nix/store/{name}", blobs.blobs.chunks))


def test_every_path_of_a_closure_is_read_and_written_the_same(
    nix_world: NixWorld, blobs: Store
) -> None:
    paths = told(nix_world, *nix_world.paths)
    assert len(paths) >= 12
    for path in paths:
        archive = out(nix_world.nix_store("--dump", path.path))
        found = unpacked(blobs, path.name, archive)
        assert (found.nar_hash, found.nar_size) == (path.nar_hash, path.nar_size)
        assert packed(blobs, found, path.name) == archive
        check_content(path, found.tree, blobs.blobs.chunks)
        assert check_trusted(path, [nix_world.key]) == (None if path.content_address else "test-1")


def test_what_we_pack_nix_unpacks(nix_world: NixWorld, blobs: Store, tmp_path: Path) -> None:
    archive = nar.nar(
        nar.directory(
            (b"-rf", nar.regular(b"")),
            (b"README", nar.regular(b"1")),
            (b"a\n\x1b", nar.symlink(b"/nowhere/\xc3\xa9")),
            (b"bytes", nar.symlink(b"../caf\xe9")),
            (b"caf\xe9", nar.directory((b"x", nar.regular(b"#!", executable=True)))),
            (b"empty", nar.directory()),
            (b"large", nar.regular(bytes(range(256)) * 12345)),
            (b"n" * 255, nar.regular(b"12345678")),
            (b"readme", nar.regular(b"2")),
        )
    )
    found = unpacked(blobs, nar.NAME, archive)
    assert packed(blobs, found, nar.NAME) == archive
    place = tmp_path / "restored"
    nix_world.nix_store("--restore", place, stdin=archive).check()
    assert out(nix_world.nix_store("--dump", place)) == archive
    said = nix_world.nix("hash", "path", "--sri", place).check().stdout.strip()
    assert parse_hash(said) == found.nar_hash
    modes = {os.fsencode(path.name): path.lstat().st_mode for path in place.iterdir()}
    assert sorted(modes)[:2] == [b"-rf", b"README"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_base_32(nix_world: NixWorld, algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"osloom").digest()
    words = ("hash", "convert", "--hash-algo", algorithm, "--to", "nix32", digest.hex())
    assert nix_world.nix(*words).check().stdout.strip() == f"{encode32(digest)}"


def test_hashes_in_all_their_ways(nix_world: NixWorld) -> None:
    digest = digest_bytes(b"osloom")
    for form in ("base16", "base64", "nix32", "sri"):
        words = ("hash", "convert", "--hash-algo", "sha256", "--to", form, to_hex(digest))
        said = nix_world.nix(*words).check().stdout.strip()
        assert parse_hash(said if form == "sri" else f"sha256:{said}") == digest


def test_keys_and_signatures(nix_world: NixWorld) -> None:
    secret = parse_secret_key(nix_world.secret.read_text())
    assert public_key(secret) == nix_world.key
    for path in told(nix_world, "app"):
        assert sign(path, secret) in path.signatures
        with pytest.raises(FetchError) as caught:
            # A path by content needs none, so it is taken for another kind here.
            check_trusted(
                msgspec.structs.replace(path, content_address=None), [nix_world.other_key]
            )
        assert caught.value.message == (
            f"cannot trust {path.path}: it is signed by `test-1`, and trusted keys are `other-1`"
        )


def test_nix_takes_what_we_sign(nix_world: NixWorld, tmp_path: Path) -> None:
    """A cache whose narinfo osloom wrote, with one more signature of its own."""
    cache = nix_world.copy(tmp_path / "cache", "app", compression="zstd")
    secret = parse_secret_key(nix_world.other_secret.read_text())
    for place in cache.glob("*.narinfo"):
        info = parse_narinfo(place.read_bytes(), where=str(place))
        signature = sign(to_store_path(info), secret)
        place.write_text(format_narinfo(msgspec.structs.replace(info, signatures=(signature,))))
    trusted = f"trusted-public-keys = {nix_world.other_key}\n"
    words = ("copy", "--from", f"file://{cache}", nix_world.paths["app"])
    nix_world.nix(*words, root=tmp_path, settings=trusted).check()
    nix_world.nix_store("--verify", "--check-contents", root=tmp_path).check()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cache_as_nix_writes_it(nix_world: NixWorld, blobs: Store, compression: str) -> None:
    cache = nix_world.cache(compression)
    known = {path.name: path for path in told(nix_world, *nix_world.paths)}
    places = sorted(cache.glob("*.narinfo"))
    assert len(places) == len(known)
    for place in places:
        text = place.read_bytes()
        info = parse_narinfo(text, where=str(place), wanted=place.stem)
        assert format_narinfo(info).encode() == text
        path = known[info.name]
        assert to_store_path(info) == path
        assert fingerprint(to_store_path(info)) == fingerprint(path)
        archive = (cache / info.url).read_bytes()
        assert (info.file_hash, info.file_size) == (digest_bytes(archive), len(archive))
        plain = decompressed(io.BytesIO(archive), info.compression, limit=info.nar_size)
        found = read_nar(plain, blobs.blobs, info.name, limit=info.nar_size)
        assert (found.nar_hash, found.nar_size) == (info.nar_hash, info.nar_size)


def test_the_methods_of_nix_that_we_do_not_read(nix_world: NixWorld, tmp_path: Path) -> None:
    cache = nix_world.copy(tmp_path / "cache", "message", compression="br")
    place = next(cache.glob("*.narinfo"))
    info = parse_narinfo(place.read_bytes(), where=str(place))
    with pytest.raises(FetchError) as caught:
        decompressed(io.BytesIO(), info.compression, limit=info.nar_size, title="it")
    assert caught.value.message == "cannot decompress it: osloom does not read `br`"
    assert caught.value.hint == "take it from a cache that has it as xz, zstd, bzip2, gzip or none"


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (("nix-store", "--add"), "fixed:r:sha256"),
        (("nix-store", "--add-fixed", "sha256"), "fixed:sha256"),
        (("nix-store", "--add-fixed", "sha1"), "fixed:sha1"),
        (("nix-store", "--add-fixed", "md5"), "fixed:md5"),
        (("nix-store", "--add-fixed", "--recursive", "sha512"), "fixed:r:sha512"),
        (("nix-store", "--add-fixed", "--recursive", "sha1"), "fixed:r:sha1"),
    ],
)
def test_paths_by_content(
    nix_world: NixWorld, blobs: Store, tmp_path: Path, words: tuple[str, ...], address: str
) -> None:
    place = tmp_path / "what.txt"
    place.write_text(f"content of {address}")
    path = nix_world.run(*words, place).check().stdout.strip()
    (info,) = told(nix_world, path)
    assert info.content_address is not None
    assert info.content_address.startswith(f"{address}:")
    assert make_fixed_path("what.txt", info.content_address) == info.name
    found = unpacked(blobs, info.name, out(nix_world.nix_store("--dump", path)))
    check_content(info, found.tree, blobs.blobs.chunks)
    algorithm = address.rpartition(":")[2]
    hashed = place.read_bytes() if ":r:" not in address else packed(blobs, found, info.name)
    digest = hashlib.new(algorithm, hashed).hexdigest()
    assert make_fixed_path("what.txt", f"{address}:{digest}") == info.name


def test_a_text_that_refers_to_others(nix_world: NixWorld, blobs: Store) -> None:
    path = nix_world.build('builtins.toFile "refers" "${builtins.toFile "other" "text"} here"')
    (info,) = [one for one in told(nix_world, path) if one.path == path]
    assert len(info.references) == 1
    content = f"/nix/store/{info.references[0]} here".encode()
    address = f"text:sha256:{hashlib.sha256(content).hexdigest()}"
    assert make_fixed_path("refers", address, info.references) == info.name
    found = unpacked(blobs, info.name, out(nix_world.nix_store("--dump", path)))
    check_content(info, found.tree, blobs.blobs.chunks)


def test_a_closure_made_content_addressed(nix_world: NixWorld, blobs: Store) -> None:
    """Paths that refer to themselves among them."""
    said = nix_world.nix(
        "store", "make-content-addressed", "--recursive", "--json", nix_world.paths["app"]
    ).check()
    made = dict(said.json["rewrites"])
    assert len(made) >= 8
    paths = [one for one in told(nix_world, *made.values()) if one.path in made.values()]
    assert any(path.name in path.references for path in paths)
    for path in paths:
        assert path.content_address is not None
        found = unpacked(blobs, path.name, out(nix_world.nix_store("--dump", path.path)))
        check_content(path, found.tree, blobs.blobs.chunks)
        assert check_trusted(path, []) is None
        wrong = msgspec.structs.replace(path, references=(*path.references, nar.NAME))
        with pytest.raises(FetchError, match="belongs to"):
            check_content(wrong, found.tree, blobs.blobs.chunks)


@pytest.mark.parametrize(
    "name",
    [
        *("x", ".x", "...", "..x", ".x-y", "-", "a+b_c?d=e.f", "1", "a" * 211),
        *("a" * 212, ".", "..", ".-x", "..-x", "a b", "é", "a~", "a@b", "a/b", "a:b", "a,b", "a*"),
    ],
)
def test_the_names_that_nix_takes(nix_world: NixWorld, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    said = nix_world.nix("store", "add", "--name", name, tmp_path / "file")
    assert (said.status == 0) == (name_problem(name) is None), said.stderr
    if said.status == 0:
        assert parse_store_path(said.stdout.strip()).partition("-")[2] == name


NO_NIX = {"case hack", "empty target", "target with NUL", "name too long", "rest"}
"""What Nix takes, or does not look at, and osloom refuses; see `osloom.sources.nix.nar`."""
HOSTILE = {
    "parent": nar.directory((b"..", nar.regular(b""))),
    "itself": nar.directory((b".", nar.regular(b""))),
    "no name": nar.directory((b"", nar.regular(b""))),
    "slash": nar.directory((b"a/b", nar.regular(b""))),
    "absolute": nar.directory((b"/etc", nar.regular(b""))),
    "NUL": nar.directory((b"a\0b", nar.regular(b""))),
    "twice": nar.directory((b"a", nar.regular(b"")), (b"a", nar.regular(b""))),
    "not sorted": nar.directory((b"b", nar.regular(b"")), (b"a", nar.regular(b""))),
    "padding": nar.regular(b"1").replace(b"1" + bytes(7), b"1" + bytes(6) + b"\1"),
    "unknown kind": nar.words(b"(", b"type", b"fifo", b")"),
    "executable": nar.words(b"(", b"type", b"regular", b"executable", b"1", b"contents", b"", b")"),
    "not closed": nar.regular(b"1")[:-16],
    "cut off": nar.regular(b"12345678")[:-20],
    "case hack": nar.directory((b"a~nix~case~hack~1", nar.regular(b""))),
    "rest": nar.regular(b"1") + bytes(8),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_nix_refuses_we_refuse(
    nix_world: NixWorld, blobs: Store, tmp_path: Path, kind: str
) -> None:
    archive = nar.nar(HOSTILE[kind])
    said = nix_world.nix_store("--restore", tmp_path / "restored", stdin=archive)
    assert (said.status == 0) == (kind in NO_NIX), said.stderr
    with pytest.raises(FetchError):
        unpacked(blobs, nar.NAME, archive)


def test_a_name_of_a_cache_is_the_hash_part(nix_world: NixWorld) -> None:
    names = {place.stem for place in nix_world.cache("xz").glob("*.narinfo")}
    assert names == {hash_part(path.name) for path in told(nix_world, *nix_world.paths)}


def test_digests_are_those_of_the_tree(nix_world: NixWorld) -> None:
    """The base 64 that Nix says is of the same bytes as the hexadecimal that the lock has."""
    (path, *_) = told(nix_world, "message")
    info = nix_world.path_info("message")[path.path]
    raw = base64.b64decode(info["narHash"].removeprefix("sha256-"))
    assert path.nar_hash == Digest(f"sha256:{raw.hex()}")
