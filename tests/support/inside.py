"""Run a command in a directory as if a machine had started from it.

    python -m support.inside ROOT UID DIRECTORY COMMAND…

A mount namespace whose root is ROOT itself: the kernel makes no user namespaces in a chroot.
Kernel, network and devices are the host's; files and processes are not.
"""

import os
import subprocess
import sys
from pathlib import Path

from osloom.engine.identity import CLONE_NEWNS, unshare
from osloom.engine.mounts import MS_REC, make_private, mount

_CLONE_NEWPID = 0x20000000
_MS_BIND = 0x1000
_MS_MOVE = 0x2000


def main() -> int:
    root, user, directory, *command = sys.argv[1:]
    unshare(CLONE_NEWNS | _CLONE_NEWPID)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _move_into(Path(root))
    os.environ.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=directory, user=int(user), group=int(user), extra_groups=[], check=False
    )
    return done.returncode


def _move_into(root: Path) -> None:
    """Make `root` this namespace's `/`, as switch_root(8) does."""
    make_private()
    mount(os.fspath(root), root, "none", _MS_BIND)
    mount("/dev", root / "dev", "none", _MS_BIND | MS_REC)
    mount("proc", root / "proc", "proc")
    os.chdir(root)
    mount(".", Path("/"), "none", _MS_MOVE)
    os.chroot(".")


if __name__ == "__main__":
    sys.exit(main())
