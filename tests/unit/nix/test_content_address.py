"""Content addresses that only the content itself can prove."""

import hashlib
import io

import pytest

from osloom.base.digest import digest_bytes, to_hex
from osloom.base.errors import FetchError
from osloom.model.closure import StorePath
from osloom.model.store_path import make_fixed_path
from osloom.model.tree import Tree
from osloom.sources.nix.content import check_content, digests_modulo
from osloom.sources.nix.nar import read_nar
from osloom.store.store import Store
from support.nar import NAME, directory, nar, regular, store_path, symlink


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("content") / "store")


def unpacked(store: Store, path: StorePath, archive: bytes) -> Tree:
    return read_nar(io.BytesIO(archive), store.blobs, path.name, limit=len(archive)).tree


def hashed(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


FILE = nar(regular(b"bar"))
ADDRESSES = {
    "nar": (f"fixed:r:sha256:{hashed('sha256', FILE)}", FILE),
    "nar sha1": (f"fixed:r:sha1:{hashed('sha1', FILE)}", FILE),
    "nar sha512": (f"fixed:r:sha512:{hashed('sha512', FILE)}", FILE),
    "flat": (f"fixed:sha256:{hashed('sha256', b'bar')}", FILE),
    "flat md5": (f"fixed:md5:{hashed('md5', b'bar')}", FILE),
    "text": (f"text:sha256:{hashed('sha256', b'bar')}", FILE),
    "empty": (f"fixed:sha256:{hashed('sha256', b'')}", nar(regular(b""))),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_the_content_that_was_promised(store: Store, kind: str) -> None:
    address, archive = ADDRESSES[kind]
    path = store_path(make_fixed_path("x", address), archive, content_address=address)
    check_content(path, unpacked(store, path, archive), store.blobs.chunks)


@pytest.mark.parametrize("kind", [kind for kind in ADDRESSES if kind != "nar"])
def test_another_content_than_was_promised(store: Store, kind: str) -> None:
    address, _ = ADDRESSES[kind]
    other = nar(regular(b"other"))
    path = store_path(make_fixed_path("x", address), other, content_address=address)
    with pytest.raises(FetchError) as caught:
        check_content(path, unpacked(store, path, other), store.blobs.chunks)
    algorithm = address.split(":")[-2]
    found = hashed(algorithm, other if ":r:" in address else b"other")
    assert caught.value.message == (
        f"cannot trust {path.path}: its content address `{address}` is of another content, "
        f"{algorithm}:{found}"
    )


@pytest.mark.parametrize(
    "node", [directory((b"a", regular(b"bar"))), symlink(b"bar"), regular(b"bar", executable=True)]
)
@pytest.mark.parametrize("kind", ["flat", "text"])
def test_what_is_no_plain_file(store: Store, kind: str, node: bytes) -> None:
    address, _ = ADDRESSES[kind]
    path = store_path(make_fixed_path("x", address), nar(node), content_address=address)
    with pytest.raises(FetchError) as caught:
        check_content(path, unpacked(store, path, nar(node)), store.blobs.chunks)
    assert caught.value.message == (
        f"cannot trust {path.path}: its content address `{address}` is of a plain file, and it is "
        "none"
    )


def test_a_path_without_address_is_not_looked_at(store: Store) -> None:
    check_content(store_path(), Tree(), store.blobs.chunks)


def with_itself(part: bytes) -> bytes:
    return nar(directory((b"a", regular(b"in " + part + part)), (b"b", symlink(part + b"-x/a"))))


@pytest.mark.parametrize("way", [0, 1], ids=["with places", "without"])
def test_a_path_that_refers_to_itself(store: Store, way: int) -> None:
    digest = digests_modulo([with_itself(b"1" * 32)], "1" * 32)[way]
    address = f"fixed:r:sha256:{digest}"
    name = make_fixed_path("x", address, [NAME], refers_to_itself=True)
    archive = with_itself(name[:32].encode())
    assert digests_modulo([archive], name[:32])[way] == digest
    path = store_path(
        name, archive, references=tuple(sorted([NAME, name])), content_address=address
    )
    check_content(path, unpacked(store, path, archive), store.blobs.chunks)
    other = archive.replace(b"in ", b"on ")
    path = store_path(name, other, references=path.references, content_address=address)
    with pytest.raises(FetchError) as caught:
        check_content(path, unpacked(store, path, other), store.blobs.chunks)
    assert caught.value.message == (
        f"cannot trust {path.path}: its content address `{address}` is of another content, "
        f"sha256:{digests_modulo([other], name[:32])[0]}"
    )


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 64, 1000])
def test_pieces_of_any_size_have_the_same_digest(size: int) -> None:
    part = b"0123456789abcdfghijklmnpqrsvwxyz"
    data = part + b"-" + part[:20] + part + part + b"end" + part[:31]
    places = [0, 53, 85]
    plain = data.replace(part, bytes(32))
    whole = plain + "".join(f"|{place}" for place in places).encode()
    pieces = [data[place : place + size] for place in range(0, len(data), size)]
    assert digests_modulo(pieces, part.decode()) == (
        to_hex(digest_bytes(whole)),
        to_hex(digest_bytes(plain)),
    )
