"""What a package may hold, and what is refused."""

import io
import tarfile
from pathlib import Path

import pytest

from osloom.base.errors import BuildError
from osloom.sources.debian.archive import Package, read_package
from osloom.store.store import Store
from support.deb import Deb


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o644
    return info


def unpacked(tmp_path: Path, deb: Deb) -> Package:
    return read_package(io.BytesIO(deb.build()), Store(tmp_path).blobs, name=deb.name)


def test_files_and_control_files_become_trees(tmp_path: Path) -> None:
    deb = Deb("app", files={"/usr/bin/app": "hi"}, scripts={"postinst": "#!/bin/sh\n"})
    package = unpacked(tmp_path, deb)
    assert package.data.dump() == {
        "/usr": "dir 0755",
        "/usr/bin": "dir 0755",
        "/usr/bin/app": "file 0644 8f434346",
    }
    assert list(package.control) == ["control", "postinst"]


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (member("./../etc/passwd"), "the path `./../etc/passwd` leaves the root"),
        (member("usr/../../x"), "the path `usr/../../x` leaves the root"),
        (member("./dev/mem", tarfile.CHRTYPE), "`./dev/mem` is a device node"),
        (member("./dev/sda", tarfile.BLKTYPE), "`./dev/sda` is a device node"),
        (
            member("./x", tarfile.LNKTYPE, "/etc/shadow"),
            "`x` is a hard link to `etc/shadow`, which the package does not hold",
        ),
        (member("./x", tarfile.LNKTYPE, "../../etc/shadow"), "leaves the root"),
    ],
)
def test_hostile_members_are_refused_by_name(
    tmp_path: Path, hostile: tarfile.TarInfo, message: str
) -> None:
    with pytest.raises(BuildError) as caught:
        unpacked(tmp_path, Deb("evil", members=[hostile]))
    assert caught.value.message.startswith("cannot unpack evil: ")
    assert message in caught.value.message


def test_an_absolute_path_is_below_the_root_and_an_absolute_link_stays_a_link(
    tmp_path: Path,
) -> None:
    members = [member("/abs"), member("./link", tarfile.SYMTYPE, "/etc/shadow")]
    package = unpacked(tmp_path, Deb("app", members=members))
    assert package.data.dump() == {
        "/abs": "file 0644 e3b0c442",
        "/link": "symlink /etc/shadow",
    }


@pytest.mark.parametrize("length", [0, 7, 50, 100, 400])
def test_a_package_that_is_cut_off_is_an_error(tmp_path: Path, length: int) -> None:
    data = Deb("app", files={"/a": "x" * 1000}).build()[:length]
    with pytest.raises(BuildError, match="cannot unpack app"):
        read_package(io.BytesIO(data), Store(tmp_path).blobs, name="app")


@pytest.mark.parametrize("size", [1 << 20, 5 << 20, 16 << 20, 20 << 20])
def test_packages_of_any_size_are_unpacked(tmp_path: Path, size: int) -> None:
    files = {"/usr/a": "first", "/usr/large": "x" * size, "/usr/z": "last"}
    link = member("./usr/link", tarfile.LNKTYPE, "./usr/large")
    package = unpacked(tmp_path, Deb("app", files=files, members=[link]))
    blobs = Store(tmp_path).blobs
    for path, text in files.items():
        node = package.data[path.lstrip("/")]
        assert node.digest is not None
        assert (node.size, blobs.read(node.digest)) == (len(text), text.encode())
    assert package.data["usr/link"].target == "usr/large"


@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path, size: int) -> None:
    cut = member("./cut")
    cut.size = 70_000
    deb = Deb("app", files={"/large": "x" * size}, members=[cut])
    with pytest.raises(BuildError, match=r"cannot unpack app: (`./cut` is cut off|unexpected end)"):
        unpacked(tmp_path, deb)
