"""What `osloom inspect` says of files that are no disks."""

from pathlib import Path

import pytest

from osloom.cli.main import main


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "error: cannot find the disk's partitions: it has no whole GPT"),
        (b"\0" * 5000, "error: cannot find the disk's partitions: it has no whole GPT"),
        (b"\x28\xb5\x2f\xfd1234", "error: cannot read `{}` as a disk: it is compressed"),
        (b"QFI\xfb\0\0\0\3", "error: cannot read the disk: bytes 0 to 72 are needed of what has 8"),
        (None, "error: cannot read `{}` as a disk: no such file or directory"),
    ],
)
def test_a_file_that_is_no_disk_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    path = tmp_path / "disk.raw"
    if content is not None:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) in (1, 2)
    assert capsys.readouterr().err.splitlines()[0] == said.format(path)


def test_an_image_is_not_verified_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "server", "--verify"]) == 2
    assert "cannot verify an image" in capsys.readouterr().err
