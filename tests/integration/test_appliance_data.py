"""What a device keeps: partitions made at its first boot, behind a passphrase, and larger later."""

from pathlib import Path

import pytest

from integration.conftest import Workshop

DISK = """\
swap = "128M"
data = { filesystem = "btrfs" }

[image.gateway.disk.partition]
logs = { size = "64M", mount = "/logs", keep = true }
scratch = { size = "256M", mount = "/srv/scratch", filesystem = "btrfs" }
raw = { size = "8M", filesystem = "none" }
"""
TESTS = """
[[image.gateway.test]]
name = "what there is"
run = '''
test "$(swapon --show=TYPE --noheadings)" = partition
test "$(findmnt -nro FSTYPE /var)" = btrfs
test "$(findmnt -nro FSTYPE /logs)" = ext4
test "$(findmnt -nro FSTYPE /var/srv/scratch)" = btrfs
touch /logs/written /srv/scratch/written
test "$(lsblk -bnro SIZE /dev/disk/by-partlabel/raw)" = 8388608
'''
"""
ENCRYPTED = """
[[image.gateway.test]]
name = "what is encrypted"
run = '''
test "$(lsblk -nro TYPE $(findmnt -nro SOURCE /var))" = crypt
test "$(lsblk -nro TYPE $(swapon --show=NAME --noheadings))" = crypt
'''
"""


def appliance(place: Path, store: Path, disk: str, more: str = "") -> Workshop:
    # The project is named for its directory, and a partition's label has room for no long name.
    directory = place / "edge"
    directory.mkdir()
    workshop = Workshop(directory, store)
    for words in (("init", "appliance"), ("keys", "new")):
        workshop(*words).check()
    definition = directory / "osloom.toml"
    text = definition.read_text().replace(
        "[image.gateway.update]", f"{disk}\n[image.gateway.update]"
    )
    definition.write_text(text + more)
    workshop("lock").check()
    return workshop


@pytest.mark.long
def test_partitions_of_the_definition_are_made_and_reset(tmp_path: Path, store: Path) -> None:
    own = appliance(tmp_path, store, DISK, TESTS)
    found = own.verdicts()
    assert found == dict.fromkeys(("boot", "the root is verified", "what there is"), "passed")
    names = ("larger-disk", "factory-reset")
    found = own.verdicts(*names)
    assert found == dict.fromkeys(("boot", *names), "passed")


@pytest.mark.long
def test_a_passphrase_is_asked_for(tmp_path: Path, store: Path) -> None:
    disk = 'swap = "128M"\ndata = { encryption = "passphrase" }\n'
    own = appliance(tmp_path, store, disk, ENCRYPTED)
    found = own.verdicts()
    assert found == dict.fromkeys(("boot", "the root is verified", "what is encrypted"), "passed")
    found = own.verdicts("passphrase")
    assert found == dict.fromkeys(("boot", "passphrase"), "passed")


@pytest.mark.long
def test_a_tpm_opens_data_for_what_was_signed(tmp_path: Path, store: Path) -> None:
    own = appliance(tmp_path, store, 'data = { encryption = "tpm2" }\n')
    names = ("sealed", "update", "factory-reset-menu")
    found = own.verdicts(*names)
    assert found == dict.fromkeys(("boot", *names), "passed")
