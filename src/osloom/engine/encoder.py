"""The tools image's zstd in osloom's own processes.

What its library writes is what its program writes, byte for byte: both are of one source, told the
same. But starting a program takes longer than compressing a small layer does. Where the library
does not fit, the program does the work. https://facebook.github.io/zstd/zstd_manual.html
"""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from osloom.base.errors import BuildError

_LEVEL, _CHECKSUM, _WORKERS = 100, 201, 400
"""ZSTD_cParameter."""
_CONTINUE, _END = 0, 2
"""ZSTD_EndDirective."""
_ROOM = 256 << 10


class _Given(ctypes.Structure):
    """ZSTD_inBuffer."""

    _fields_ = (
        ("data", ctypes.c_char_p),
        ("size", ctypes.c_size_t),
        ("place", ctypes.c_size_t),
    )


class _Made(ctypes.Structure):
    """ZSTD_outBuffer."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("place", ctypes.c_size_t),
    )


class Encoder:
    """See the module. For any number of threads."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._create = library.ZSTD_createCCtx
        self._create.restype = ctypes.c_void_p
        self._free = library.ZSTD_freeCCtx
        self._free.argtypes = (ctypes.c_void_p,)
        self._set = _returning_size(library.ZSTD_CCtx_setParameter)
        self._set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
        self._promise = _returning_size(library.ZSTD_CCtx_setPledgedSrcSize)
        self._promise.argtypes = (ctypes.c_void_p, ctypes.c_ulonglong)
        self._compress = _returning_size(library.ZSTD_compressStream2)
        made, given = ctypes.POINTER(_Made), ctypes.POINTER(_Given)
        self._compress.argtypes = (ctypes.c_void_p, made, given, ctypes.c_int)
        self._is_error = library.ZSTD_isError
        self._is_error.argtypes = (ctypes.c_size_t,)
        self._name = library.ZSTD_getErrorName
        self._name.argtypes = (ctypes.c_size_t,)
        self._name.restype = ctypes.c_char_p

    def compress(self, chunks: Iterable[bytes], level: int, *, threads: int) -> Iterator[bytes]:
        """`chunks` as one frame, as `zstd --threads=THREADS -LEVEL` compresses its input.

        What is made of more than one thread is cut at fixed places, whatever their number.
        """
        with self._context(level, threads) as context:
            room = ctypes.create_string_buffer(_ROOM)
            for chunk in chunks:
                yield from self._fed(context, chunk, room, _CONTINUE)
            yield from self._fed(context, b"", room, _END)

    def frames(self, contents: Iterable[bytes], level: int) -> Iterator[bytes]:
        """Each of `contents` as a frame, as `zstd --threads=1 -LEVEL` compresses files."""
        with self._context(level, 1) as context:
            room = ctypes.create_string_buffer(_ROOM)
            for content in contents:
                self._checked(self._promise(context, len(content)))
                yield b"".join(self._fed(context, content, room, _END))

    @contextlib.contextmanager
    def _context(self, level: int, threads: int) -> Iterator[int]:
        context = self._create()
        if context is None:
            raise MemoryError
        try:
            for parameter, value in ((_LEVEL, level), (_CHECKSUM, 1), (_WORKERS, threads)):
                self._checked(self._set(context, parameter, value))
            yield context
        finally:
            # Ends its threads, too.
            self._free(context)

    def _fed(
        self, context: int, chunk: bytes, room: "ctypes.Array[ctypes.c_char]", directive: int
    ) -> Iterator[bytes]:
        given = _Given(chunk, len(chunk), 0)
        made = _Made(ctypes.addressof(room), len(room), 0)
        left = 1
        while left if directive == _END else given.place < given.size:
            left = self._checked(
                self._compress(context, ctypes.byref(made), ctypes.byref(given), directive)
            )
            if made.place:
                yield ctypes.string_at(room, made.place)
                made.place = 0

    def _checked(self, result: int) -> int:
        if self._is_error(result):
            raise BuildError(f"cannot compress with zstd: {self._name(result).decode()}")
        return result


def _returning_size(function: "ctypes._NamedFuncPointer") -> "ctypes._NamedFuncPointer":
    function.restype = ctypes.c_size_t
    return function


@functools.cache
def load_encoder(root: Path) -> Encoder | None:
    """That of the tree at `root`; None where there is none, or none that starts here."""
    library = next(root.glob("usr/lib/*/libzstd.so.1"), None)
    if library is None:
        return None
    try:
        return Encoder(ctypes.CDLL(os.fspath(library)))
    except (OSError, AttributeError):  # another libc than the tools have; an older zstd
        return None
