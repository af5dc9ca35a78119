"""A NixOS system as an image tree."""

import pytest

from osloom.base.errors import BuildError
from osloom.compose.nix.system import check_system
from osloom.store.store import Store
from support.small_system import EPOCH, ETC, TOP, small_system


def test_the_root_has_what_starts_it_and_nothing_else(store: Store) -> None:
    tree = small_system(store)
    own = {path: said for path, said in tree.dump().items() if not path.startswith("/nix/store/")}
    database, schema = (own.pop(f"/nix/var/nix/db/{name}") for name in ("db.sqlite", "schema"))
    assert (database[:9], schema[:9]) == ("file 0644", "file 0644")
    release = own.pop("/etc/os-release")
    assert release[:9] == "file 0644"
    empty = "e3b0c442"
    assert own == {
        "/boot": "dir 0755",
        "/dev": "dir 0755",
        "/etc": "dir 0755",
        "/etc/NIXOS": f"file 0644 {empty}",
        "/etc/machine-id": f"file 0444 {empty}",
        "/home": "dir 0755",
        "/init": f"symlink /nix/store/{TOP}/init",
        "/nix": "dir 0755",
        "/nix/store": "dir 1775 0:30000",
        "/nix/var": "dir 0755",
        "/nix/var/nix": "dir 0755",
        "/nix/var/nix/db": "dir 0755",
        "/nix/var/nix/gcroots": "dir 0755",
        "/nix/var/nix/gcroots/auto": "dir 0755",
        "/nix/var/nix/gcroots/profiles": "symlink /nix/var/nix/profiles",
        "/nix/var/nix/profiles": "dir 0755",
        "/nix/var/nix/profiles/system": "symlink system-1-link",
        "/nix/var/nix/profiles/system-1-link": f"symlink /nix/store/{TOP}",
        "/proc": "dir 0755",
        "/root": "dir 0700",
        "/run": "dir 0755",
        "/sbin": "dir 0755",
        "/sbin/init": f"symlink /nix/store/{TOP}/init",
        "/sys": "dir 0755",
        "/tmp": "dir 1777",
        "/usr": "dir 0755",
        "/var": "dir 0755",
        "/var/tmp": "dir 1777",
    }


def test_os_release_is_a_file_of_its_own_and_store_paths_keep_their_time(store: Store) -> None:
    tree = small_system(store)
    digest = tree["etc/os-release"].digest
    assert digest is not None
    assert store.blobs.read(digest) == b'ID=nixos\nPRETTY_NAME="NixOS 25.11"\n'
    times = {path.startswith("nix/store/"): node.mtime for path, node in tree.items()}
    assert times == {True: 1, False: EPOCH}


@pytest.mark.parametrize("name", ["init", "nixos-version", "system"])
def test_what_is_no_system_is_refused(store: Store, name: str) -> None:
    tree = small_system(store, {f"{TOP}/{name}": None})
    with pytest.raises(BuildError) as caught:
        check_system(tree, TOP, "amd64", store.blobs.read)
    said = f"cannot use /nix/store/{TOP} as a NixOS system: it has no `{name}`"
    assert caught.value.message == said


def test_a_system_without_os_release_is_refused(store: Store) -> None:
    with pytest.raises(BuildError, match="as a NixOS system: it has no `etc/os-release`"):
        small_system(store, {f"{ETC}/os-release": None})


def test_a_system_for_another_machine_is_refused(store: Store) -> None:
    with pytest.raises(BuildError) as caught:
        check_system(small_system(store), TOP, "arm64", store.blobs.read)
    assert caught.value.message == (
        f"cannot use /nix/store/{TOP}: it is for x86_64-linux, and the image for aarch64-linux"
    )
