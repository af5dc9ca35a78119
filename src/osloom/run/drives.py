"""Disks of machines that are written to and kept, from disks that must not change."""

from pathlib import Path

from osloom.engine.tools import Tools
from osloom.run.machine import Drive


def overlay(tools: Tools, disk: Drive, path: Path, *, size: int | None = None) -> Drive:
    """A disk at `path` that begins as `disk` and holds what differs; of `size` bytes if given.

    What the machine wrote but did not flush is lost when QEMU is killed, as in a power cut: QEMU
    holds the tables of a qcow2 file in memory. `tools` has qemu-img.
    """
    below = ["-F", disk.format, "-b"]
    words = ["qemu-img", "create", "-q", "-f", "qcow2", *below, "/mnt/base", path.name]
    words += [] if size is None else [str(size)]
    tools.run(words, work=path.parent, reads={"base": disk.path})
    # What the file itself says is for programs outside of the sandbox.
    words = [
        "qemu-img",
        "rebase",
        "-u",
        "-f",
        "qcow2",
        *below,
        str(disk.path.absolute()),
        path.name,
    ]
    tools.run(words, work=path.parent)
    return Drive(path=path, format="qcow2", keep=True, base=disk)


def enlarge(tools: Tools, disk: Drive, more: int) -> None:
    """Give a disk that `overlay` made `more` bytes; no machine has it. `tools` has qemu-img."""
    assert disk.base is not None
    words = f"driver=qcow2,file.filename={disk.path.name},backing.driver={disk.base.format}"
    words += ",backing.file.driver=file,backing.file.filename=/mnt/base"
    tools.run(
        ["qemu-img", "resize", "-q", "--image-opts", words, f"+{more}"],
        work=disk.path.parent,
        reads={"base": disk.base.path},
    )


def copy(tools: Tools, disk: Drive, path: Path, *, size: int | None = None) -> Drive:
    """A raw disk at `path` with the content of `disk`; of at least `size` bytes if given.

    `tools` has qemu-img.
    """
    words = ["qemu-img", "convert", "-f", disk.format, "-O", "raw", "/mnt/base"]
    tools.run([*words, path.name], work=path.parent, reads={"base": disk.path})
    with path.open("r+b") as file:
        file.truncate(max(size or 0, path.stat().st_size))
    return Drive(path=path, keep=True)
