"""Fuzz the readers of NARs, narinfo and what is compressed, by hand: atheris is no dependency.

    python -m venv FUZZ && FUZZ/bin/pip install atheris msgspec zstandard cryptography
    PYTHONPATH=src:tests FUZZ/bin/python tests/fuzz/fuzz_nix.py nar CORPUS -max_total_time=600

The first word is `nar`, `narinfo` or `compressed`, CORPUS a directory where what is interesting is
kept, and the rest is libFuzzer's. What an input may do: be refused in a FetchError, or be read and written again as the same. Anything else is found.
"""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["osloom.sources.nix", "osloom.model"]):
    from osloom.base.digest import Digest, as_part, digest_bytes
    from osloom.base.errors import FetchError
    from osloom.model.nar import write_nar
    from osloom.sources.nix import nar as reader
    from osloom.sources.nix.compression import decompressed
    from osloom.sources.nix.narinfo import format_narinfo, parse_narinfo
    from osloom.store.blobs import BlobWriter

from support import nar


class Memory:
    """The blob of one input."""

    content = b""

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        file = io.BytesIO()
        writer = BlobWriter(file)
        yield writer
        writer.finish()
        self.content = file.getvalue()

    def chunks(self, digest: Digest) -> list[bytes]:
        part = as_part(digest)
        assert part is not None
        return [self.content[part.start : part.start + part.size]]


LIMIT = 64 << 10
# So small that short inputs come in several pieces.
reader._CHUNK = 50
NODES = [
    nar.regular(b"x"),
    nar.regular(b"12345678", executable=True),
    nar.regular(b"large" * 20),
    nar.symlink(b"target"),
    nar.directory(),
    nar.directory((b"a", nar.regular(b"")), (b"b", nar.symlink(b"a"))),
    nar.directory((b"a", nar.directory((b"..", nar.regular(b""))))),
]
INFO = f"""\
StorePath: /nix/store/{nar.NAME}
URL: nar/x.nar.xz
Compression: xz
FileHash: sha256:{"0" * 52}
FileSize: 1
NarHash: sha256:{"0" * 52}
NarSize: 1
References: {nar.NAME}
Deriver: {nar.NAME}.drv
System: x86_64-linux
Sig: key-1:AAAA
CA: fixed:r:sha256:{"0" * 52}
"""


def try_nar(data: bytes) -> None:
    blobs = Memory()
    with suppress(FetchError):
        found = reader.read_nar(io.BytesIO(data), blobs, nar.NAME, limit=LIMIT)
        assert found.nar_hash == digest_bytes(data)
        assert found.nar_size == len(data)
        pieces = write_nar(found.tree, f"nix/store/{nar.NAME}", blobs.chunks)
        assert b"".join(pieces) == data


def try_narinfo(data: bytes) -> None:
    with suppress(FetchError):
        info = parse_narinfo(data, where="it")
        assert parse_narinfo(format_narinfo(info).encode(), where="it") == info


def try_compressed(data: bytes) -> None:
    method = ("xz", "zstd", "bzip2", "gzip", "none")[data[0] % 5] if data else "none"
    count = 0
    with suppress(FetchError):
        source = decompressed(io.BytesIO(data[1:]), method, limit=LIMIT)
        while piece := source.read(1000):
            count += len(piece)
    assert count <= LIMIT


def seeds(target: str) -> list[bytes]:
    import bz2
    import gzip
    import lzma

    import zstandard

    if target == "nar":
        return [nar.nar(node) for node in NODES]
    if target == "narinfo":
        return [INFO.encode()]
    packed = [lzma.compress, zstandard.compress, bz2.compress, gzip.compress, bytes]
    return [bytes([place]) + pack(b"some text") for place, pack in enumerate(packed)]


WORDS = {
    "nar": [
        *(b"nix-archive-1", b"(", b")", b"type", b"regular", b"executable", b"contents"),
        *(b"symlink", b"target", b"directory", b"entry", b"name", b"node", b"..", b".", b""),
    ],
    "narinfo": [
        *(b"StorePath: ", b"URL: ", b"NarHash: ", b"NarSize: ", b"References: ", b"Sig: "),
        *(b"Deriver: ", b"CA: ", b"FileHash: ", b"sha256:", b"sha256-", b"fixed:", b"text:"),
    ],
    "compressed": [],
}


def dictionary(target: str, place: Path) -> None:
    """Words for libFuzzer, https://llvm.org/docs/LibFuzzer.html#dictionaries."""
    words = [nar.word(one) if target == "nar" else one for one in WORDS[target]]
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in one) + '"' for one in words]
    place.write_text("\n".join(lines) + "\n")


def main() -> None:
    targets: dict[str, Callable[[bytes], None]] = {
        "nar": try_nar,
        "narinfo": try_narinfo,
        "compressed": try_compressed,
    }
    target, corpus, *options = sys.argv[1:]
    place = Path(corpus)
    place.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (place / f"seed-{number}").write_bytes(data)
    dictionary(target, place / "words")
    words = [sys.argv[0], corpus, f"-dict={place / 'words'}", "-max_len=4096", *options]
    atheris.Setup(words, targets[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
