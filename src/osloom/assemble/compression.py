"""Compress what is made, to the same bytes everywhere: by locked programs.

This machine's libraries are good enough to read with, but zlib-ng, another zstd or another liblzma
write other bytes. The programs use many processors and are told to cut the content at fixed places,
so that the number of processors does not show.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from osloom.base.digest import Digest
from osloom.base.errors import CommandError
from osloom.engine.step import Job, Output
from osloom.store.blobs import store_error

if TYPE_CHECKING:
    from osloom.engine.encoder import Encoder

_MOST_THREADS = 16
"""More gain nothing: a single process makes the content."""
_ZSTD_LEVEL = 3
_XZ_BLOCK = "24MiB"
"""What xz takes itself at its default level; smaller loses size, larger takes memory."""
_PIECE = 1 << 20

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "xz": ".xz"}


def command(method: str, level: int | None, *, threads: int) -> list[str]:
    """The program, which compresses its standard input to its standard output.

    Its output is a function of `method` and `level`: one thread is not among the choices, because
    pigz and xz then do not cut the content.
    """
    assert threads > 1
    match method:
        case "gzip":
            # RFC 1952 with neither name nor time.
            words = ["pigz", "--no-name", "--no-time", "--processes", str(threads)]
            return [*words, f"-{min(level or 6, 9)}", "--stdout"]
        case "zstd":
            words = ["zstd", "--quiet", f"--threads={threads}"]
            return [*words, f"-{level or _ZSTD_LEVEL}", "--stdout"]
        case "xz":
            # `+0`: as many threads as there are processors and a quarter of the memory allows.
            # When that is one, `+` still makes blocks.
            words = ["xz", "--threads=+0", f"--block-size={_XZ_BLOCK}", "--check=crc64"]
            return [*words, f"-{min(level or 6, 9)}", "--stdout"]
        case _:
            raise AssertionError(method)


def compress(job: Job, chunks: Iterable[bytes], method: str, level: int | None = None) -> Digest:
    """Keep `chunks` compressed with `none`, `gzip`, `zstd` or `xz`; gives the blob's digest."""
    return job.store.blobs.add_chunks(compressed(job, chunks, method, level))


def compressed(
    job: Job, chunks: Iterable[bytes], method: str, level: int | None = None
) -> Iterable[bytes]:
    """`chunks` compressed with what the input `tools` has, in pieces."""
    if method == "none":
        return chunks
    encoder = _encoder(job) if method == "zstd" else None
    if encoder is not None:
        return encoder.compress(chunks, level or _ZSTD_LEVEL, threads=_threads())
    return _by_program(job, chunks, method, level)


def _by_program(
    job: Job, chunks: Iterable[bytes], method: str, level: int | None
) -> Iterator[bytes]:
    path = job.work / f"compressed{SUFFIXES[method]}"
    with path.open("wb") as file:
        words = command(method, level, threads=_threads())
        _filter(job, words, stdin=chunks, stdout=file)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
    path.unlink()


def _threads() -> int:
    return min(max(len(os.sched_getaffinity(0)), 2), _MOST_THREADS)


def compress_each(
    job: Job, contents: Iterable[bytes], level: int, *, tools: str
) -> Iterator[bytes]:
    """Each of `contents`, which are small, as one frame of zstd."""
    encoder = _encoder(job, tools)
    if encoder is not None:
        return encoder.frames(contents, level)
    return _each_by_program(job, contents, level, tools)


def frame_compressor(job: Job, level: int, *, tools: str) -> Callable[[bytes], bytes]:
    """What makes of a content the frame that `compress_each` makes of it; for one thread."""
    encoder = _encoder(job, tools)
    if encoder is None:
        return lambda content: b"".join(_each_by_program(job, [content], level, tools))
    # One context for all: making one takes a tenth of what compressing a small content does.
    next_one: list[bytes] = []
    frames = encoder.frames(iter(next_one.pop, None), level)

    def compress(content: bytes) -> bytes:
        next_one.append(content)
        return next(frames)

    return compress


def _each_by_program(
    job: Job, contents: Iterable[bytes], level: int, tools: str
) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory(dir=job.work) as place:
        files = []
        for number, content in enumerate(contents):
            files.append(Path(place, str(number)))
            files[-1].write_bytes(content)
        words = ["zstd", "--quiet", "--threads=1", f"-{level}", "--", *map(os.fspath, files)]
        _filter(job, words, tools)
        for file in files:
            yield file.with_name(f"{file.name}.zst").read_bytes()


def _encoder(job: Job, tools: str = "tools") -> "Encoder | None":
    # Most builds compress nothing, and ctypes takes its time to load.
    from osloom.engine.encoder import load_encoder

    return load_encoder(job.tools(tools).root)


def _filter(
    job: Job,
    words: Sequence[str],
    tools: str = "tools",
    *,
    stdin: Iterable[bytes] | None = None,
    stdout: BinaryIO | None = None,
) -> None:
    """Run a program; raises StoreError where there is no room for what it writes."""
    try:
        job.tools(tools).filter(words, stdin=stdin, stdout=stdout)
    except CommandError as error:
        # All three programs say it in the words of the C library.
        for code in (errno.ENOSPC, errno.EDQUOT):
            said = os.strerror(code)
            if said in error.detail:
                raise store_error("write to", job.store.root, OSError(code, said)) from error
        raise


def programs(method: str, compressors: Output) -> Mapping[str, Output]:
    """The inputs that a step needs beside its own to `compress`: `none` takes no program."""
    return {} if method == "none" else {"tools": compressors}
