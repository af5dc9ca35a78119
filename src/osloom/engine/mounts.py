"""mount(2), for a process that has a mount namespace of its own."""

import ctypes
import os
from pathlib import Path

from osloom.base.errors import BuildError

MS_REC = 0x4000
MS_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    words = (source, os.fspath(target), kind)
    if _libc.mount(*(word.encode() for word in words), flags, options.encode()) != 0:
        code = ctypes.get_errno()
        raise BuildError(
            f"cannot mount {kind} at {target}: {os.strerror(code)}",
            hint="run `osloom doctor`: it says what this host lacks",
        )


def make_private() -> None:
    """Keep what is mounted from now on in this namespace."""
    mount("none", Path("/"), "none", MS_REC | MS_PRIVATE)


def mount_tmpfs(target: Path) -> None:
    mount("tmpfs", target, "tmpfs", options="mode=0755,size=90%")


def mount_overlay(target: Path, *, lower: Path, upper: Path, work: Path) -> None:
    """An overlay that keeps its marks in user xattrs and never waits for a disk."""
    options = [
        f"lowerdir={_escaped(lower)}",
        f"upperdir={_escaped(upper)}",
        f"workdir={_escaped(work)}",
        "userxattr",
        "volatile",
    ]
    mount("overlay", target, "overlay", options=",".join(options))


def _escaped(path: Path) -> str:
    text = os.fspath(path)
    for character in ("\\", ":", ","):
        text = text.replace(character, f"\\{character}")
    return text
