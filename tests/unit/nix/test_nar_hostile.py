"""NARs that nobody honest wrote: each is refused in one sentence, and nothing is kept."""

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import FetchError
from osloom.model.nar import write_nar
from osloom.sources.nix.nar import read_nar
from osloom.store.staged import staged
from osloom.store.store import Store
from support.nar import NAME, directory, nar, regular, symlink, word, words


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("hostile") / "store")


def refusal(store: Store, data: bytes, limit: int | None = None) -> str:
    with pytest.raises(FetchError) as caught, staged(store.blobs) as blobs:
        read_nar(io.BytesIO(data), blobs, NAME, limit=len(data) if limit is None else limit)
    start = f"cannot unpack the NAR of /nix/store/{NAME}: "
    assert caught.value.message.startswith(start)
    assert caught.value.hint == (
        "what it came from is broken or lies: take the path from another cache"
    )
    return caught.value.message.removeprefix(start)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left(store: Store) -> Iterator[None]:
    """Of all that is read here."""
    yield
    assert {path.name for path in store.root.rglob("*") if path.is_file()} == {"layout", "lock"}


def named(*names: bytes) -> bytes:
    return nar(directory(*((name, regular(b"kept?")) for name in names)))


def padded(byte: bytes) -> bytes:
    return nar(regular(b"12345")).replace(b"12345\0\0\0", b"12345\0\0" + byte)


ORDER = "names have to be in order, each once"
OF_A_FILE = "is the name of a file in it"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (named(b".."), f"`..` {OF_A_FILE}"),
        (named(b"."), f"`.` {OF_A_FILE}"),
        (named(b""), f"`` {OF_A_FILE}"),
        (named(b"/etc"), f"`/etc` {OF_A_FILE}"),
        (named(b"../../x"), f"`../../x` {OF_A_FILE}"),
        (named(b"a/b"), f"`a/b` {OF_A_FILE}"),
        (named(b"a\0b"), f"`a\\x00b` {OF_A_FILE}"),
        (named(b"a\x1b[2J/"), f"`a\\x1b[2J/` {OF_A_FILE}"),
        (named(b"a", b"a"), f"`a` comes after `a`, and {ORDER}"),
        (named(b"b", b"a"), f"`a` comes after `b`, and {ORDER}"),
        (named(b"a", b"A"), f"`A` comes after `a`, and {ORDER}"),
        (named(b"a", b"c", b"b"), f"`b` comes after `c`, and {ORDER}"),
        (
            named(b"N", b"n~nix~case~hack~1"),
            "`n~nix~case~hack~1` is the name of a file in it, as a Nix store on macOS has it",
        ),
        (named(b"a" * 256), "a name in it has 256 bytes, and Linux allows 255"),
        (
            nar(symlink(b"a" * 4096)),
            "a link's target in it has 4096 bytes, and Linux allows 4095",
        ),
        (nar(symlink(b"")), "`` is the target of a link in it"),
        (nar(symlink(b"a\0b")), "`a\\x00b` is the target of a link in it"),
        (padded(b"\1"), "what fills it up between its parts is not zero"),
        (nar(regular(b"x")) + b"\0", "something follows its end"),
        (nar(regular(b"x")) * 2, "something follows its end"),
        (b"", "it ends after 0 bytes, in the middle"),
        (nar(b""), "it ends after 24 bytes, in the middle"),
        (b"<html>", "at byte 0 it has no `nix-archive-1`"),
        (
            nar(regular(b"x")).replace(b"archive-1", b"archive-2"),
            "at byte 0 it has no `nix-archive-1`",
        ),
        (nar(words(b"(", b"type", b"fifo", b")")), "at byte 24 it has no file, directory or link"),
        (
            nar(words(b"(", b"type", b"regular", b")")),
            "at byte 24 it has no file, directory or link",
        ),
        (
            nar(words(b"(", b"type", b"regular", b"executable", b"1", b"contents", b"", b")")),
            "at byte 24 it has no file, directory or link",
        ),
        (nar(words(b"(", b"type", b"directory", b"exit")), "at byte 80 it has no `entry` or `)`"),
        (nar(regular(b"x")[:-16] + word(b"]")), "at byte 104 it has no `)`"),
    ],
)
def test_what_is_refused(store: Store, data: bytes, cause: str) -> None:
    assert refusal(store, data) == cause


def test_what_is_cut_off_anywhere(store: Store) -> None:
    whole = nar(directory((b"a", regular(b"123")), (b"b", symlink(b"a"))))
    for length in range(len(whole)):
        cause = refusal(store, whole[:length], limit=len(whole))
        assert cause == f"it ends after {length} bytes, in the middle"


@pytest.mark.parametrize("size", [1 << 20, 1 << 40, (1 << 64) - 1])
def test_lengths_of_more_than_there_is(store: Store, size: int) -> None:
    head = nar(words(b"(", b"type", b"regular", b"contents")) + size.to_bytes(8, "little")
    assert refusal(store, head + bytes(1000), limit=2000) == (
        f"a file or name in it has {size} bytes, and all of it 2000"
    )


def test_a_large_file_that_is_cut_off(store: Store) -> None:
    whole = nar(regular(bytes(5 << 20)))
    assert refusal(store, whole[: 4 << 20], limit=len(whole)) == (
        "it ends after 4194304 bytes, in the middle"
    )


def test_more_than_was_promised(store: Store) -> None:
    whole = nar(regular(bytes(5 << 20)))
    assert refusal(store, whole, limit=len(whole) - 1) == (
        f"it is longer than the {len(whole) - 1} bytes that it should have"
    )


class Endless(io.RawIOBase):
    """The same for ever, and how much of it was read."""

    def __init__(self, head: bytes, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = head
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        while len(self._rest) < size:
            self._rest += next(self._pieces)
        found, self._rest = self._rest[:size], self._rest[size:]
        self.count += len(found)
        return found


DEEPER = words(b"(", b"type", b"directory", b"entry", b"(", b"name", b"a", b"node")


def deeper() -> Iterator[bytes]:
    while True:
        yield DEEPER * 100


def test_directories_without_end(store: Store) -> None:
    source = Endless(word(b"nix-archive-1"), deeper())
    with pytest.raises(FetchError) as caught, staged(store.blobs) as blobs:
        read_nar(source, blobs, NAME, limit=1 << 40)  # type: ignore[arg-type]
    assert caught.value.message == (
        f"cannot unpack the NAR of /nix/store/{NAME}: its directories are nested more than 256 deep"
    )
    assert source.count <= 1 << 20


def test_a_path_that_linux_could_not_open(store: Store) -> None:
    node = regular(b"")
    for _ in range(17):
        node = directory((b"d" * 250, node))
    assert refusal(store, nar(node)) == (
        f"the path `nix/store/{NAME}/ddddddd…` is too long for Linux"
    )


@pytest.mark.parametrize("node", [symlink(b"t"), directory()], ids=["links", "directories"])
def test_names_that_would_fill_the_memory(store: Store, node: bytes) -> None:
    """Every path is short enough and the archive is small; all the paths together are not."""
    way = words(b"(", b"type", b"directory", b"entry", b"(", b"name", b"d" * 250, b"node") * 15
    many = directory(*((b"%07d" % number, node) for number in range(40_000)))
    assert refusal(store, nar(way + many)) == (
        "its paths and links have more than 134217728 characters"
    )


WHOLE = nar(
    directory(
        (b"bin", directory((b"run", regular(b"#!/bin/sh\n", executable=True)))),
        (b"lib", symlink(b"bin")),
        (b"text", regular(b"0123456789")),
    )
)


@given(
    place=st.integers(0, len(WHOLE) - 1),
    removed=st.integers(0, 40),
    added=st.one_of(st.binary(max_size=40), st.sampled_from([word(b")"), word(b"entry"), DEEPER])),
)
def test_what_is_damaged_is_refused_or_is_another_nar(
    store: Store, place: int, removed: int, added: bytes
) -> None:
    """No two streams are one tree, and nothing but FetchError comes of what is wrong."""
    data = WHOLE[:place] + added + WHOLE[place + removed :]
    with staged(store.blobs) as blobs:
        try:
            found = read_nar(io.BytesIO(data), blobs, NAME, limit=len(data))
        except FetchError:
            blobs.drop()
            return
        assert b"".join(write_nar(found.tree, f"nix/store/{NAME}", blobs.chunks)) == data
        blobs.drop()
