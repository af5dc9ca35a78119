"""What a file that no package ships follows from."""

import pytest

from osloom.model.origin import origin, owner


@pytest.mark.parametrize(
    ("path", "made_from"),
    [
        ("usr/lib/x/__pycache__/a.cpython-313.pyc", "usr/lib/x/a.py"),
        ("usr/lib/x/__pycache__/a.cpython-313.opt-1.pyc", "usr/lib/x/a.py"),
        ("usr/lib/udev/hwdb.bin", "usr/bin/systemd-hwdb"),
        ("usr/lib/x/a.pyc", None),
        ("usr/lib/x/__pycache__/a.txt", None),
        ("etc/hostname", None),
    ],
)
def test_origins(path: str, made_from: str | None) -> None:
    assert origin(path) == made_from


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("var/lib/dpkg/info/libc6:amd64.list", "libc6"),
        ("var/lib/dpkg/info/python3.13-minimal.md5sums", "python3.13-minimal"),
        ("var/lib/dpkg/info/format", None),
        ("var/lib/dpkg/info", None),
        ("var/lib/dpkg/status", None),
    ],
)
def test_owners(path: str, package: str | None) -> None:
    assert owner(path) == package
