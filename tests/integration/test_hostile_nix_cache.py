"""Binary caches that lie, break off, are slow or are none: one clear sentence, and nothing is kept.

In front of a real cache stands a proxy that misbehaves.
"""

import bz2
import gzip
import io
import lzma
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import zstandard

from osloom.base.errors import FetchError
from osloom.base.progress import silent
from osloom.fetch import retries
from osloom.model.closure import StorePath
from osloom.model.providers import Cache, Nix
from osloom.sources.nix.fetch import fetch_store_paths
from osloom.store.collect import usage
from osloom.store.store import Store
from support.nix import NixWorld
from support.proxy import Behaviour, Exchange, Proxy, proxying
from support.store_paths import locked, trees

_OTHER = "1" * 64


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has of Nix; and no patience."""
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")
    monkeypatch.setenv("NIX_CONF_DIR", "/nonexistent")
    monkeypatch.setenv("NIX_REMOTE", "/nonexistent")
    settings = "substituters =\ntrusted-public-keys =\nstalled-download-timeout = 1\n"
    monkeypatch.setenv("NIX_CONFIG", settings)
    monkeypatch.setattr(retries, "_PAUSE", 0.01)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.close()


class Row:
    """A cache of the world behind a proxy, and one path to be fetched from it."""

    def __init__(self, world: NixWorld, own: Store, compression: str = "xz") -> None:
        self.world = world
        self.own = own
        self.cache = world.cache(compression)
        (self.path,) = (one for one in locked(world, "app") if "libgreet" in one.name)

    def fetch(
        self,
        behaviour: Behaviour | None,
        *,
        path: StorePath | None = None,
        key: str | None = None,
        cut: Behaviour | None = None,
    ) -> Proxy:
        with (
            self.world.serve(self.cache) as server,
            proxying(server.url.removeprefix("http://"), behaviour, cut=cut) as proxy,
        ):
            self.url = f"http://{proxy.address}"
            nix = Nix(cache=(Cache(url=self.url, keys=(key or self.world.key,)),))
            wanted = [path or self.path]
            fetch_store_paths(self.own, wanted, nix, directory=Path("/"), report=silent)
        return proxy

    def refuse(self, behaviour: Behaviour | None, pattern: str, **given: object) -> FetchError:
        """It fails with one sentence that names path and cache, and nothing is kept."""
        with pytest.raises(FetchError) as caught:
            self.fetch(behaviour, **given)  # type: ignore[arg-type]
        error = caught.value
        start = f"cannot take {self.path.name} from {self.url}: "
        assert error.message.startswith(start)
        assert re.search(pattern, error.message.removeprefix(start)), error.message
        assert "\n" not in error.message
        assert error.hint
        assert trees(self.own, [self.path]) == {}
        assert usage(self.own).blobs == 0
        assert not list(self.own.temporary.iterdir())
        assert not list((self.own.root / "blobs").glob("*/*"))
        return error


@pytest.fixture
def row(nix_world: NixWorld, own: Store) -> Row:
    return Row(nix_world, own)


def instead(part: str, change: Callable[[bytes], bytes]) -> Behaviour:
    """Answer what has `part` in its path with something else than the cache has."""

    def behave(exchange: Exchange) -> bool:
        if part not in exchange.path:
            return False
        status, headers, data = exchange.forward()
        headers.pop("Content-Length", None)
        exchange.answer(status, headers, change(data))
        return True

    return behave


def said(field: str, value: str) -> Behaviour:
    """A narinfo with another value."""
    pattern = re.compile(rf"^{field}: .*$".encode(), re.MULTILINE)
    return instead(".narinfo", lambda data: pattern.sub(f"{field}: {value}".encode(), data))


@pytest.mark.parametrize(
    ("field", "value", "pattern"),
    [
        ("StorePath", f"/nix/store/{'1' * 32}-other", "it is of /nix/store/1{32}-other"),
        ("StorePath", "/gnu/store/x", "of another store"),
        ("NarHash", f"sha256:{_OTHER}", "`NarHash` of .* is `sha256:1{64}`, and the lock has"),
        ("NarHash", "sha256:short", "`NarHash` is `sha256:short`"),
        ("NarSize", "4711", "`NarSize` of .* is `4711`, and the lock has"),
        ("NarSize", "-1", "`NarSize` is `-1`"),
        ("References", f"{'1' * 32}-more", "`References` of .* is `1{32}-more`"),
        ("FileHash", f"sha256:{_OTHER}", "its digest is not `FileHash`"),
        ("FileSize", "40", "it has more than the 40 bytes of `FileSize`"),
        ("FileSize", "40000", "ends after [0-9]+ of 40000 bytes"),
        ("URL", "../../../etc/passwd", "`URL` is `../../../etc/passwd`"),
        ("URL", "file:///etc/passwd", "`URL` is `file:///etc/passwd`"),
        ("Compression", "br", "osloom does not read `br`"),
        ("Compression", "zstd", "its zstd data is damaged"),
        ("Compression", "none", "longer than|has no `nix-archive-1`"),
    ],
)
def test_a_narinfo_that_lies(row: Row, field: str, value: str, pattern: str) -> None:
    row.refuse(said(field, value), pattern)


def test_a_signature_over_something_else(row: Row) -> None:
    lie = msgspec.structs.replace(row.path, nar_size=row.path.nar_size + 8, signatures=())
    row.refuse(
        said("NarSize", str(lie.nar_size)), "its signature by `test-1` is not good", path=lie
    )


def test_nobody_has_signed(row: Row) -> None:
    unsigned = msgspec.structs.replace(row.path, signatures=())
    behaviour = instead(".narinfo", lambda data: re.sub(rb"(?m)^Sig: .*\n", b"", data))
    row.refuse(behaviour, "it is not signed", path=unsigned)
    with row.world.serve(row.cache) as server:
        caches = (Cache(url=f"{server.url}?trusted=true"),)
        paths = [unsigned]
        fetch_store_paths(row.own, paths, Nix(cache=caches), directory=Path("/"), report=silent)
    assert row.path.name in trees(row.own, paths)


def test_somebody_else_has_signed(row: Row, nix_world: NixWorld) -> None:
    error = row.refuse(
        None, "it is signed by `test-1`, and trusted keys are `other-1`", key=nix_world.other_key
    )
    assert "[[nix.cache]]" in str(error.hint)


def test_a_content_address_needs_no_signature_and_is_computed(
    row: Row, nix_world: NixWorld
) -> None:
    (text,) = (one for one in locked(nix_world, "app") if one.name.endswith("message.txt"))
    plain = msgspec.structs.replace(text, signatures=())
    row.path = plain
    wrong = msgspec.structs.replace(plain, content_address=f"text:sha256:{'0' * 52}")
    row.refuse(None, "its content address .* belongs to", path=wrong, key=nix_world.other_key)
    row.fetch(None, path=plain, key=nix_world.other_key)
    assert trees(row.own, [plain])


@pytest.mark.parametrize("part", ["nix-cache-info", ".narinfo", "/nar/"])
def test_a_web_page_where_a_cache_should_be(row: Row, part: str) -> None:
    page = b"<!DOCTYPE html><html><title>Sign in</title></html>"
    wanted = {
        "nix-cache-info": "its `nix-cache-info` is a web page",
        ".narinfo": "it is a web page",
        "/nar/": "its xz data is damaged|ends after",
    }
    row.refuse(instead(part, lambda _: page), wanted[part])


def test_a_cache_of_another_store(row: Row) -> None:
    other = instead("nix-cache-info", lambda _: b"StoreDir: /gnu/store\n")
    row.refuse(other, "its `StoreDir` is `/gnu/store`")


def answering(status: int, part: str = "/", **headers: str) -> Behaviour:
    def behave(exchange: Exchange) -> bool:
        if part not in exchange.path:
            return False
        exchange.answer(status, {name.replace("_", "-"): one for name, one in headers.items()})
        return True

    return behave


def test_no_cache_at_all(row: Row) -> None:
    row.refuse(answering(404), "it is no binary cache, as it has no `nix-cache-info`")


def test_a_cache_that_wants_a_password(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(exchange: Exchange) -> bool:
        # `me:secret`
        if exchange.handler.headers.get("Authorization") == "Basic bWU6c2VjcmV0":
            return False
        exchange.answer(401, {"WWW-Authenticate": "Basic"})
        return True

    error = row.refuse(guarded, "it answers with status 401")
    assert "netrc" in str(error.hint)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NIX_CONFIG", f"netrc-file = {tmp_path}/netrc\nsubstituters =\n")
    row.fetch(guarded)
    assert trees(row.own, [row.path])


def test_a_password_goes_to_no_other_host(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NIX_CONFIG", f"netrc-file = {tmp_path}/netrc\nsubstituters =\n")
    with (
        row.world.serve(row.cache) as server,
        proxying(server.url.removeprefix("http://")) as other,
    ):

        def moved(exchange: Exchange) -> bool:
            if "/nar/" not in exchange.path:
                return False
            exchange.answer(302, {"Location": f"http://{other.address}{exchange.path}"})
            return True

        first = row.fetch(moved)
    assert all("Authorization" in one for one in first.headers)
    assert other.seen
    assert not any("Authorization" in one for one in other.headers)


def test_a_cache_that_sends_in_circles(row: Row) -> None:
    row.refuse(answering(302, ".narinfo", Location="/x.narinfo"), "without end")
    row.refuse(answering(302, "/nar/", Location="ftp://h/x"), "it sends on to `ftp://h/x`")


def test_a_busy_cache_is_asked_again(row: Row) -> None:
    left = [4]

    def busy(exchange: Exchange) -> bool:
        left[0] -= 1
        if left[0] < 0:
            return False
        exchange.answer(429 if left[0] % 2 else 503, {"Retry-After": "0"})
        return True

    row.fetch(busy)
    assert trees(row.own, [row.path])


def test_a_cache_that_stays_busy(row: Row) -> None:
    row.refuse(answering(429), "it answers with status 429")


def test_a_cache_that_is_down(row: Row) -> None:
    nix = Nix(cache=(Cache(url="http://127.0.0.1:1", keys=()),))
    with pytest.raises(FetchError, match=r"cannot reach 127\.0\.0\.1:1: Connection refused"):
        fetch_store_paths(row.own, [row.path], nix, directory=Path("/"), report=silent)
    # Another one has it.
    caches = (
        Cache(url="http://127.0.0.1:1"),
        Cache(url=f"file://{row.cache}", keys=(row.world.key,)),
    )
    fetch_store_paths(row.own, [row.path], Nix(cache=caches), directory=Path("/"), report=silent)
    assert trees(row.own, [row.path])


def hanging(part: str) -> Behaviour:
    """Say nothing, and then send one byte now and then."""

    def behave(exchange: Exchange) -> bool:
        if part not in exchange.path:
            return False
        handler = exchange.handler
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(40):
            try:
                handler.wfile.write(b"x")
            except OSError:
                break
            time.sleep(0.1)
        exchange.drop()
        return True

    return behave


@pytest.mark.parametrize("part", [".narinfo", "/nar/"])
def test_a_cache_that_is_slow(row: Row, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_TRIES", 2)
    row.refuse(hanging(part), "no answer in time|damaged")


def test_a_silent_cache(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_TRIES", 2)

    def silence(exchange: Exchange) -> bool:
        time.sleep(3)
        exchange.drop()
        return True

    row.refuse(silence, "no answer in time")


def cut(times: int, *, resumes: bool) -> Behaviour:
    """Break off the archive in its middle, the first `times` of it."""
    left = [times]

    def behave(exchange: Exchange) -> bool:
        if "/nar/" not in exchange.path:
            return False
        handler = exchange.handler
        _, _, data = exchange.forward()
        start = 0
        asked = handler.headers.get("Range")
        if asked and resumes:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        left[0] -= 1
        end = start + 100 if left[0] >= 0 else len(data)
        handler.wfile.write(data[start:end])
        if end < len(data):
            exchange.drop()
        return True

    return behave


@pytest.mark.parametrize("resumes", [True, False])
def test_a_transfer_that_breaks_off_is_resumed(row: Row, resumes: bool) -> None:
    proxy = row.fetch(cut(2, resumes=resumes))
    assert trees(row.own, [row.path])
    ranges = [one.get("Range") for one in proxy.headers if "Range" in one]
    assert ranges == (["bytes=100-", "bytes=200-"] if resumes else ["bytes=100-", "bytes=100-"])


def test_a_transfer_that_breaks_off_for_ever(row: Row) -> None:
    row.refuse(cut(100, resumes=False), "closed|incomplete|ends after")


def with_archive(data: Callable[[bytes], bytes], *, honest: bool = True) -> Behaviour:
    """Another archive; `honest`: its narinfo says so."""
    import hashlib

    def behave(exchange: Exchange) -> bool:
        is_info = ".narinfo" in exchange.path
        if not is_info and "/nar/" not in exchange.path:
            return False
        status, headers, old = exchange.forward()
        headers.pop("Content-Length", None)
        if is_info:
            place = re.search(rb"URL: (.*)", old)
            assert place is not None
            before = Exchange(exchange.handler, b"", exchange.upstream)
            before.handler.path = "/" + place[1].decode()
            new = data(before.forward()[2])
            digest = hashlib.sha256(new).hexdigest()
            if honest:
                old = re.sub(rb"FileHash: .*", f"FileHash: sha256:{digest}".encode(), old)
            old = re.sub(rb"FileSize: .*", f"FileSize: {len(new)}".encode(), old)
            exchange.answer(status, headers, old)
        else:
            exchange.answer(status, headers, data(old))
        return True

    return behave


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    # What its narinfo says is of another call: there must be no time in it.
    "gzip": partial(gzip.compress, mtime=0),
    "none": lambda data: data,
}
_EXPAND: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
    "bzip2": bz2.decompress,
    "gzip": gzip.decompress,
    "none": lambda data: data,
}


@pytest.mark.parametrize("method", _COMPRESS)
def test_archives_that_are_damaged_or_made_to_harm(
    nix_world: NixWorld, own: Store, method: str
) -> None:
    row = Row(nix_world, own, method)
    row.refuse(with_archive(lambda data: data[:-40]), "in the middle")
    row.refuse(
        with_archive(lambda data: data + b"more"),
        "something follows|damaged|unpacks to more|middle",
    )
    bomb = _COMPRESS[method](bytes(50 << 20))
    row.refuse(with_archive(lambda _: bomb), "unpacks to more than|has no `nix-archive-1`")

    def swapped(data: bytes) -> bytes:
        return _COMPRESS[method](_EXPAND[method](data).replace(b"Hello", b"Howdy"))

    row.refuse(with_archive(swapped), "its NAR hash is sha256:[0-9a-f]{64}, of")

    def flipped(data: bytes) -> bytes:
        return data[:60] + bytes([data[60] ^ 1]) + data[61:]

    row.refuse(with_archive(flipped, honest=False), "damaged|FileHash|NAR hash|has no|bytes")


def test_of_two_caches_the_honest_one_is_taken(row: Row) -> None:
    with (
        row.world.serve(row.cache) as server,
        proxying(server.url.removeprefix("http://"), said("NarSize", "8")) as liar,
    ):
        caches = tuple(
            Cache(url=url, keys=(row.world.key,)) for url in (f"http://{liar.address}", server.url)
        )
        nix = Nix(cache=caches)
        notes: list[str] = []
        fetch_store_paths(
            row.own,
            [row.path],
            nix,
            directory=Path("/"),
            report=lambda event: notes.append(event.title) if event.kind == "note" else None,
        )
    assert trees(row.own, [row.path])
    (note,) = notes
    assert "`NarSize`" in note
    assert liar.address in note
