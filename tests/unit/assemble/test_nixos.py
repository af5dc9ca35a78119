"""What boots a NixOS system, as far as no program has to run for it."""

import pytest

from osloom.assemble.nixos import missing, plan_initrd, plan_nspawn, read_bootspec, titled
from osloom.assemble.nixos import plan_disk as plan_nixos_disk
from osloom.base.errors import BuildError
from osloom.model.definition import Image
from support.small_system import CHILD, ETC, LINUX, TOP, small_system
from support.workbench import Workbench

NIXOS = Image(nixos=".#nixosConfigurations.web")


def test_the_bootspec_is_that_of_the_system_profile(workbench: Workbench) -> None:
    tree = small_system(workbench.store)
    spec = read_bootspec(tree, workbench.store.blobs.read, "amd64")
    assert spec.entry.command_line == (f"init=/nix/store/{TOP}/init", "root=fstab")
    assert spec.specialisations["debug"].entry.init == f"/nix/store/{CHILD}/init"


def test_a_system_for_containers_does_not_boot(workbench: Workbench) -> None:
    tree = small_system(workbench.store, {f"{TOP}/boot.json": None})
    with pytest.raises(BuildError) as caught:
        read_bootspec(tree, workbench.store.blobs.read, "amd64")
    assert caught.value.message == (
        f"cannot make the NixOS system /nix/store/{TOP} boot: it has no boot.json"
    )
    assert "boot.isContainer" in (caught.value.hint or "")


def test_the_initrd_is_the_systems_own(workbench: Workbench) -> None:
    request = workbench.request(NIXOS, small_system(workbench.store))
    (digest,) = workbench.make(plan_initrd(request))
    assert workbench.store.blobs.read(digest) == b"initrd"


def test_an_initrd_that_is_no_file_is_refused(workbench: Workbench) -> None:
    tree = small_system(workbench.store, {f"{LINUX}/initrd": None})
    with pytest.raises(BuildError, match=r"initrd of its boot\.json is no file"):
        workbench.make(plan_initrd(workbench.request(NIXOS, tree)))


def test_a_container_needs_no_bootspec_but_an_init_of_its_own(workbench: Workbench) -> None:
    tree = small_system(workbench.store, {f"{TOP}/prepare-root": "#!/bin/sh\n"})
    with pytest.raises(BuildError) as caught:
        workbench.make(plan_nspawn(workbench.request(NIXOS, tree)))
    assert caught.value.message == (
        "cannot make a container of the NixOS system: only its initrd can start it"
    )


def test_a_disk_that_its_fstab_does_not_name_is_refused(workbench: Workbench) -> None:
    tree = small_system(
        workbench.store, {f"{ETC}/fstab": "/dev/disk/by-label/nixos / ext4 defaults 0 1\n"}
    )
    with pytest.raises(BuildError) as caught:
        workbench.make(plan_nixos_disk(workbench.request(NIXOS, tree)))
    assert caught.value.message == (
        "cannot make a disk of the NixOS system: "
        "it mounts / from /dev/disk/by-label/nixos, which is not on the disk"
    )
    assert caught.value.hint == (
        'set `fileSystems."/".device = "/dev/disk/by-partlabel/root"` in its configuration'
    )


@pytest.mark.parametrize(
    ("fstab", "filesystem"),
    [
        ("/dev/disk/by-partlabel/root / ext4 x-initrd.mount 0 1", "ext4"),
        ("/dev/disk/by-label/root / btrfs defaults 0 0", "btrfs"),
        ("PARTLABEL=root / auto defaults 0 1", "erofs"),
        ("# nothing\n\n", "ext4"),
        ("none / tmpfs mode=0755 0 0", "ext4"),
        (
            "/dev/disk/by-partlabel/root / ext4 a 0 1\n/dev/disk/by-label/ESP /boot vfat a 0 2",
            "ext4",
        ),
        ("/dev/disk/by-label/BOOT /boot vfat nofail,umask=0077 0 2", "ext4"),
        ("/dev/disk/by-label/data /srv xfs defaults 0 2", "ext4"),
    ],
)
def test_mounts_that_the_disk_has(fstab: str, filesystem: str) -> None:
    assert list(missing(fstab, filesystem)) == []


@pytest.mark.parametrize(
    ("fstab", "said"),
    [
        (
            "/dev/disk/by-uuid/aa / ext4 a 0 1",
            "it mounts / from /dev/disk/by-uuid/aa, which is not on the disk",
        ),
        ("LABEL=nixos / ext4 a 0 1", "it mounts / from LABEL=nixos, which is not on the disk"),
        ("PARTLABEL=root / xfs a 0 1", "it mounts / as xfs, and the disk has ext4"),
        (
            "PARTLABEL=root / ext4 a 0 1\n/dev/disk/by-label/BOOT /boot vfat a 0 2",
            "it mounts /boot from /dev/disk/by-label/BOOT, which is not on the disk",
        ),
    ],
)
def test_mounts_that_it_has_not(fstab: str, said: str) -> None:
    assert [one for one, _ in missing(fstab, "ext4")] == [said]


def test_a_title_is_quoted_as_os_release_wants_it() -> None:
    release = b'ID=nixos\nPRETTY_NAME="NixOS"\nVERSION_ID="25.11"\n'
    assert titled(release, 'a "b" $c `d` \\e') == (
        b'ID=nixos\nVERSION_ID="25.11"\nPRETTY_NAME="a \\"b\\" \\$c \\`d\\` \\\\e"\n'
    )
