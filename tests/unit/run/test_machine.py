"""Disks that somebody gives to a machine."""

from pathlib import Path

import pytest

from osloom.base.errors import UsageError
from osloom.run.machine import Drive, disk_of


@pytest.mark.parametrize(("content", "format_"), [(b"QFI\xfb\0", "qcow2"), (b"\0\0", "raw")])
def test_the_format_of_a_disk_is_seen(tmp_path: Path, content: bytes, format_: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    assert disk_of(path) == Drive(path=path, format=format_, keep=True)


def test_a_disk_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with pytest.raises(UsageError) as caught:
        disk_of(path)
    assert caught.value.message == f"cannot use `{path}` as a disk: no such file or directory"
    assert caught.value.hint == f"make an empty one: `truncate --size=8G {path}`"
