"""How a program that a person runs differs in the sandbox from a command whose output is kept.

It has the streams of the caller, and becomes what bubblewrap becomes: no process of osloom stands
between. So what the terminal sends to its process group reaches bubblewrap too, which must not end
by it: the signals that are passed on are ignored from here on, and set back to what they were by
programs of the tools image just before the image's own program starts. The same programs make it
the user that it shall be.
"""

import os
import signal
from pathlib import Path
from typing import NoReturn

import msgspec

from osloom.base.foreground import PASSED_ON
from osloom.engine.tools import start_from

TOOLS = "/run/osloom-tools"
"""Where the tools image is in the sandbox."""

_HOST_FILES = ("etc/hosts", "etc/resolv.conf")
"""What names on the host's network are looked up with."""


class Foreground(msgspec.Struct, frozen=True, kw_only=True):
    """Who the program runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def starter(who: Foreground | None) -> list[str]:
    """What stands before the program: it starts as `who`, or as it is, with its own signals."""
    words = [*start_from(Path(TOOLS), "usr/bin/env"), "--default-signal", "--"]
    if who is None:
        return words
    groups = ",".join(f"+{number}" for number in who.groups)
    become = [
        *start_from(Path(TOOLS), "usr/sbin/chroot"),
        "--skip-chdir",
        f"--userspec=+{who.uid}:+{who.gid}",
        f"--groups={groups}",
        "/",
    ]
    return [*become, *words]


def lay_host_files(root: Path) -> None:
    """Give a root that will be forgotten the host's way of looking up names."""
    (root / "etc").mkdir(exist_ok=True)
    for name in _HOST_FILES:
        source, target = Path("/", name), root / name
        if source.exists():
            target.unlink(missing_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(0o644)


def become(words: list[str], descriptor: int) -> NoReturn:
    """Replace this process by one that has `descriptor`; ignored signals stay ignored in it."""
    os.set_inheritable(descriptor, True)  # noqa: FBT003
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    os.execv(words[0], words)
