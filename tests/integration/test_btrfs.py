"""btrfs file systems, judged by btrfs-progs."""

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard

from integration.conftest import Workshop
from osloom.assemble.btrfs import Compress, write_btrfs
from osloom.engine.step import Job
from osloom.store.store import Store
from support.files import empty, everything
from support.programs import Programs

Btrfs = Callable[..., str]

_SERVER = """
[project]
name = "server"

[image.server]
packages = ["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64"]
outputs = ["disk"]

[image.server.disk]
filesystem = "btrfs"
compression = "zstd"

[[image.server.test]]
name = "its root is compressed"
run = "findmnt -nro FSTYPE / | grep -qx btrfs && sha256sum /usr/lib/systemd/systemd /usr/bin/* >/dev/null"
"""


@pytest.fixture(scope="module")
def btrfs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Btrfs:
    """btrfs(8)."""
    return partial(
        Programs(tmp_path_factory.mktemp("programs"), store, "btrfs-progs"), "usr/bin/btrfs"
    )


@pytest.mark.parametrize("compress", [None, zstandard.ZstdCompressor().compress])
def test_the_file_system_is_whole_and_holds_the_tree(
    tmp_path: Path, btrfs: Btrfs, compress: Compress | None
) -> None:
    store = Store(tmp_path / "store")
    tree = everything(store.blobs)
    job = Job(store=store, parameters={"epoch": 1_700_000_000}, inputs={}, work=tmp_path)
    image = tmp_path / "image"
    write_btrfs(job, tree, empty(image, 128 << 20), uuid.UUID(int=7), compress)
    btrfs("check", "--check-data-csum", image)
    said = btrfs("inspect-internal", "dump-tree", "--tree", "5", image)
    for expected in (
        "mode 104750 links 1 uid 3 gid 4 rdev 0\n",
        "mode 20666 links 1 uid 0 gid 0 rdev 1048579\n",
        "mode 100644 links 100 uid 0 gid 0 rdev 0\n",
        "name: security.capability\n",
    ):
        assert expected in said
    out = tmp_path / "out"
    out.mkdir()
    btrfs("restore", "-S", image, out)
    for path, node in tree.items():
        place = out / path
        match node.kind:
            case "file":
                assert node.digest is not None
                assert place.read_bytes() == store.blobs.read(node.digest)
            case "hardlink":
                assert place.read_bytes() == b"small"
            case "symlink":
                assert str(place.readlink()) == node.target
            case _:
                pass


def test_a_disk_with_btrfs_is_the_same_elsewhere_and_boots(tmp_path: Path, store: Path) -> None:
    """Its contents are compressed by the locked zstd, and read by a kernel."""
    (tmp_path / "osloom.toml").write_text(_SERVER)
    server = Workshop(tmp_path, store)
    server("lock").check()
    assert server("verify").check().stdout == "server/server.raw: identical\n"
    server("test").check()
