"""Who the sandbox is: which user ids it has, and how it gets them, user_namespaces(7).

subordinate   the user's own id is root inside, and 65535 ids from /etc/subuid follow it
root          the same with the first 65536 ids that root has, on a host or in a container
single        one id: ownership is kept by fakeroot
"""

import contextlib
import ctypes
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from osloom.base.command import run
from osloom.base.errors import BuildError, CommandError
from osloom.base.numbers import to_number

Identity = Literal["root", "subordinate", "single"]

COUNT = 65536
"""User ids in the namespace, unless it has one."""
_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000


class Range(msgspec.Struct, frozen=True):
    start: int
    count: int


def find_identity() -> Identity:
    if os.geteuid() == 0:
        # Root of a container can have as little as one id itself.
        return "root" if all(map(_own_map, ("uid_map", "gid_map"))) else "single"
    if (
        shutil.which("newuidmap")
        and shutil.which("newgidmap")
        and _subordinate("/etc/subuid")
        and _subordinate("/etc/subgid")
    ):
        return "subordinate"
    return "single"


def _own_map(name: str) -> str | None:
    return onto_itself(Path(f"/proc/self/{name}").read_text())


def onto_itself(text: str) -> str | None:
    """The map of a namespace that has the first ids of the one around it; None if some lack.

    `text` is the outer one's own map. What is two ranges there has to be two in here.
    """
    lines, end = [], 0
    for start, _, count in sorted(
        [int(word) for word in line.split()] for line in text.splitlines()
    ):
        if start != end or end == COUNT:
            break
        end = min(start + count, COUNT)
        lines.append(f"{start} {start} {end - start}\n")
    return "".join(lines) if end == COUNT else None


def _subordinate(file: str) -> Range | None:
    """The user's range in /etc/subuid or /etc/subgid, if it is large enough; subuid(5)."""
    user = os.getuid()
    names = {str(user)}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(user).pw_name)
    with contextlib.suppress(OSError):
        for line in Path(file).read_text().splitlines():
            name, _, numbers = line.partition(":")
            start, _, count = numbers.partition(":")
            first, size = to_number(start), to_number(count)
            if name in names and first is not None and size is not None and size >= COUNT - 1:
                return Range(first, size)
    return None


def unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise BuildError(
            f"cannot make a namespace: {os.strerror(code)}",
            hint="this kernel or container forbids user namespaces: `osloom doctor` tells more",
        )


def enter(identity: Identity) -> None:
    """Become root of a new user namespace, in this process (which must have one thread)."""
    uid, gid = os.getuid(), os.getgid()
    with _helper(identity, uid, gid) as mapped:
        unshare(CLONE_NEWUSER)
        mapped()
    os.setgid(0)
    os.setuid(0)


@contextlib.contextmanager
def _helper(identity: Identity, uid: int, gid: int) -> Iterator["_Mapped"]:
    """A child outside the new namespace: only from there can more than one id be mapped."""
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    target = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(go_write)
            if os.read(go_read, 1):
                _write_maps(identity, target, uid, gid)
                os.write(done_write, b"1")
                status = 0
        finally:
            os._exit(status)
    os.close(go_read)
    os.close(done_write)
    try:
        yield _Mapped(go_write, done_read)
    finally:
        os.close(go_write)
        os.close(done_read)
        os.waitpid(child, 0)


class _Mapped(msgspec.Struct, frozen=True):
    go: int
    done: int

    def __call__(self) -> None:
        os.write(self.go, b"1")
        if not os.read(self.done, 1):
            raise BuildError(
                "cannot map user ids into the sandbox",
                hint="check this user's lines in /etc/subuid and /etc/subgid",
            )


def _write_maps(identity: Identity, target: int, uid: int, gid: int) -> None:
    process = Path(f"/proc/{target}")
    match identity:
        case "root":
            for name in ("uid_map", "gid_map"):
                (process / name).write_text(_own_map(name) or "")
        case "single":
            (process / "setgroups").write_text("deny")
            (process / "uid_map").write_text(f"0 {uid} 1\n")
            (process / "gid_map").write_text(f"0 {gid} 1\n")
        case "subordinate":
            for program, own, file in (
                ("newuidmap", uid, "/etc/subuid"),
                ("newgidmap", gid, "/etc/subgid"),
            ):
                given = _subordinate(file)
                assert given is not None
                words = [0, own, 1, 1, given.start, COUNT - 1]
                with contextlib.suppress(CommandError):
                    run([shutil.which(program) or program, str(target), *map(str, words)])
