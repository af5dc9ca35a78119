"""What an appliance that is a NixOS system consists of, and what its configuration has to say."""

import msgspec
import pytest

from osloom.assemble.appliance.nixos import archive_files, check_initrd
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.appliance.nixos import plan_nixos_root
from osloom.compose.appliance.units import units
from osloom.model.appliance import Appliance
from osloom.model.disk import Data, Disk
from osloom.model.nixos_mounts import mistakes
from osloom.model.tree import Tree
from osloom.model.update import Health, Update
from support.small_system import ETC, LINUX, TOP, small_system
from support.workbench import Workbench

OWN = Appliance(
    id="gate-door",
    version="7",
    architecture="amd64",
    epoch=1_700_000_000,
    update=Update(url="https://updates.example.com/door/"),
    health=(Health(run="true"),),
)
FSTAB = "tmpfs / tmpfs mode=0755\n/dev/disk/by-partlabel/data /var ext4 x-initrd.mount 0 2\n"
SYSTEM = {
    f"{ETC}/fstab": FSTAB,
    **{
        f"{TOP}/systemd/lib/systemd/{name}": ""
        for name in ("systemd-sysupdate", "systemd-bless-boot")
    },
    f"{LINUX}/bin/gpg": "",
}
NAMES = frozenset(
    f"nix/store/x/{name}"
    for name in (
        *("lib/systemd/systemd-veritysetup", "lib/systemd/systemd-repart", "bin/mkfs.ext4"),
        "lib/systemd/system-generators/systemd-veritysetup-generator",
        *("dm-verity.ko.xz", "erofs.ko.xz", "overlay.ko", "ext4.ko.zst"),
    )
)


@pytest.fixture
def root(workbench: Workbench) -> Tree:
    return make(workbench, {})


def make(
    workbench: Workbench,
    changes: dict[str, str | None],
    *,
    appliance: Appliance = OWN,
    keyring: Digest | None = None,
) -> Tree:
    """The root of the small system, of which `changes` are made."""
    tree = small_system(workbench.store, {**SYSTEM, **changes})
    output = plan_nixos_root(appliance, workbench.output(tree), group="door", keyring=keyring)
    return workbench.tree_of(output)


def text(workbench: Workbench, tree: Tree, path: str) -> str:
    digest = tree[path].digest
    assert digest is not None
    return workbench.store.blobs.read(digest).decode()


def test_nothing_of_osloom_is_where_nixos_does_not_look(root: Tree) -> None:
    assert not [path for path in root if path.startswith("usr/")]
    attached = "etc/systemd/system.attached"
    assert f"{attached}/osloom-update.service" in root
    assert root[f"{attached}/timers.target.wants/osloom-update.timer"].kind == "symlink"
    assert "etc/sysupdate.d/20-root.transfer" in root
    assert root["osloom/failed-boot"].mode == 0o755
    assert root["osloom/health.d/1"].mode == 0o755


def test_every_program_of_a_unit_is_there(workbench: Workbench, root: Tree) -> None:
    started = [
        line.partition("=")[2].lstrip("-:").split()[0]
        for path in root
        if path.startswith("etc/systemd/system.attached/") and root[path].kind == "file"
        for line in text(workbench, root, path).splitlines()
        if line.startswith("Exec")
    ]
    assert len(started) > len(units(OWN)) // 2
    assert {one.partition("/")[0] for one in started} == {""}
    assert {one.split("/")[1] for one in started} == {"bin", "nix", "run"}
    own = [one.removeprefix("/nix/image/") for one in started if one.startswith("/nix/")]
    assert set(own) <= set(root)


def test_the_version_is_the_releases(workbench: Workbench, root: Tree) -> None:
    unit = text(workbench, root, "etc/systemd/system.attached/osloom-begin.service")
    assert "ExecStart=/nix/image/osloom/begin gate-door 7\n" in unit


def test_updates_are_believed_by_the_key(workbench: Workbench) -> None:
    key = workbench.store.blobs.add(b"public")
    root = make(workbench, {}, keyring=key)
    assert root["etc/systemd/import-pubring.gpg"].digest == key


@pytest.mark.parametrize(
    ("missing", "message", "hint"),
    [
        (
            f"{TOP}/systemd/lib/systemd/systemd-sysupdate",
            "its NixOS system has no `systemd-sysupdate`",
            "systemd.package = pkgs.systemd",
        ),
        (f"{LINUX}/bin/gpg", "its NixOS system has no `gpg`", "pkgs.gnupg"),
    ],
)
def test_what_the_system_lacks_is_said(
    workbench: Workbench, missing: str, message: str, hint: str
) -> None:
    with pytest.raises(BuildError) as caught:
        make(workbench, {missing: None})
    assert caught.value.message == f"cannot make an appliance of gate-door: {message}"
    assert hint in (caught.value.hint or "")
    alone = msgspec.structs.replace(OWN, update=Update())
    assert "osloom/failed-boot" in make(workbench, {missing: None}, appliance=alone)


def test_a_root_on_a_disk_is_refused(workbench: Workbench) -> None:
    with pytest.raises(BuildError, match="it mounts / as ext4") as caught:
        make(workbench, {f"{ETC}/fstab": FSTAB.replace("tmpfs / tmpfs", "x / ext4")})
    assert 'fileSystems."/"' in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("fstab", "said"),
    [
        (FSTAB, []),
        ("", ["it mounts / as nothing", "it does not mount the data partition at /var"]),
        (FSTAB.replace("ext4", "btrfs"), ["it mounts /var as btrfs"]),
        (FSTAB.replace("by-partlabel/data", "by-label/data"), ["it does not mount the data"]),
        (FSTAB + "overlay /etc overlay x 0 0\n", ["it mounts /etc itself"]),
        (FSTAB + "/dev/mapper/root /nix/store erofs ro 0 0\n", ["it mounts /nix/store itself"]),
    ],
)
def test_mounts_are_those_of_an_appliance(fstab: str, said: list[str]) -> None:
    found = [message for message, _ in mistakes(fstab, OWN)]
    assert len(found) == len(said)
    assert all(one.startswith(start) for one, start in zip(found, said, strict=True))


def test_what_the_initrd_needs_is_there() -> None:
    check_initrd(NAMES, OWN)
    with pytest.raises(BuildError, match=r"no `mkfs\.btrfs`"):
        check_initrd(NAMES, msgspec.structs.replace(OWN, disk=Disk(data=Data(filesystem="btrfs"))))


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("systemd-veritysetup", "boot.initrd.systemd.dmVerity.enable"),
        ("systemd-repart", "boot.initrd.systemd.repart.enable"),
        ("mkfs.ext4", "boot.initrd.systemd.initrdBin"),
        ("erofs.ko.xz", '"erofs" to `boot.initrd.availableKernelModules`'),
        ("dm-verity.ko.xz", '"dm-verity" to `boot.initrd.availableKernelModules`'),
    ],
)
def test_what_the_initrd_lacks_is_said(missing: str, hint: str) -> None:
    # A link to what was not copied is in the initrd of NixOS for every program of systemd.
    names = {one for one in NAMES if not one.endswith(f"/{missing}")} | {f"bin/{missing}"}
    with pytest.raises(BuildError) as caught:
        check_initrd(frozenset(names), OWN)
    assert hint in (caught.value.hint or "")


def test_what_is_added_to_the_initrd_replaces_nothing_of_it() -> None:
    # There /etc/systemd/system is a link, which a directory of an archive would replace.
    paths = list(archive_files(OWN))
    assert not [one for one in paths if one.startswith("etc/systemd/system/")]
    assert not [one for one in paths if one.startswith(("bin", "sbin", "lib", "usr/lib/systemd"))]
