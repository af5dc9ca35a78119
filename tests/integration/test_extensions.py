"""Extensions in the system they are for, by systemd's own programs, verified by the kernel."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.machines import Booted, booted, empty_disk
from support.programs import Programs

_DEFINITION = """
[project]
name = "edge"
version = "7"

[image.gateway]
packages = ["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "libcryptsetup12"]
outputs = ["disk"]
systemd = { enable = ["systemd-sysext.service", "systemd-confext.service"] }

[image.gateway.files]
"/etc/fstab" = { text = "LABEL=machine /srv ext4 defaults 0 0\\n" }
"/etc/greeting" = { text = "of the gateway\\n" }
"/var/lib/extensions" = { link = "/srv/extensions" }
"/var/lib/confexts" = { link = "/srv/confexts" }

[image.tracing]
extends = "gateway"
packages = ["strace", "vim-tiny"]
outputs = ["sysext", "confext"]
systemd = { enable = ["trace.service"] }

[image.tracing.files]
"/etc/greeting" = { text = "of the extension\\n" }
"/opt/trace/say" = { text = "#!/bin/sh\\necho traced\\n", mode = "0755" }

[image.tracing.files."/usr/lib/systemd/system/trace.service"]
text = '''
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/strace -o /run/trace /opt/trace/say

[Install]
WantedBy=multi-user.target
'''
"""
_POLICY = "--image-policy=root=verity+absent:root-verity=unprotected+absent"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("edge"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop


@pytest.fixture(scope="module")
def machine(edge: Workshop, store: Path) -> Iterator[Booted]:
    """The gateway, with the extensions on a disk of their own since before it started."""
    directory = edge.directory
    (directory / "programs").mkdir()
    programs = Programs(directory / "programs", store, "e2fsprogs")
    made = directory / "dist/tracing"
    # Once as updates put it there, and once as a person does.
    for place, name in (("extensions/tracing.sysext.raw.v", "sysext"), ("confexts", "confext")):
        (directory / "content" / place).mkdir(parents=True)
        shutil.copy(made / f"tracing_7.{name}.raw", directory / "content" / place)
    disk = empty_disk(directory / "machine.raw", programs, "machine", directory / "content")
    with booted(directory, store, "gateway", disk) as found:
        assert found.state == "running", found.check("systemctl --failed --no-pager")
        yield found


def dissected(machine: Booted, path: str) -> Any:
    return json.loads(machine.check(f"systemd-dissect --json=short {_POLICY} {path}"))


def test_what_is_merged_at_the_boot_runs(machine: Booted) -> None:
    assert "tracing" in machine.check("systemd-sysext list --no-legend")
    assert machine.check("/opt/trace/say") == "traced"
    assert "strace -- version" in machine.check("strace --version")
    # A name that update-alternatives would have made.
    assert machine.check("readlink -f /usr/bin/vi") == "/usr/bin/vim.tiny"
    assert machine.check("cat /etc/greeting") == "of the extension"


def test_its_unit_is_started(machine: Booted) -> None:
    machine.check("until systemctl is-active --quiet trace.service; do sleep 1; done")
    assert "execve" in machine.check("cat /run/trace")


def test_the_kernel_verifies_it(machine: Booted) -> None:
    ids = machine.check("cat /sys/block/dm-*/dm/uuid").split()
    assert sum(one.startswith("CRYPT-VERITY-") for one in ids) == 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/extensions/tracing.sysext.raw.v/tracing_7.sysext.raw", "sysext"),
        ("/srv/confexts/tracing_7.confext.raw", "confext"),
    ],
)
def test_systemd_dissect_tells_what_it_is(machine: Booted, path: str, kind: str) -> None:
    said = dissected(machine, path)
    release = dict(said[f"{kind}Release"][number] for number in range(0))
    assert said, release


def test_a_byte_that_was_changed_is_seen(machine: Booted) -> None:
    """In the first block of the file system."""
    assert (
        machine(
            "cp /srv/confexts/tracing_7.confext.raw /tmp/changed.raw; "
            "printf x | dd of=/tmp/changed.raw bs=1 seek=$((1024 * 1024 + 1100)) conv=notrunc; "
            f"systemd-dissect --validate {_POLICY} /tmp/changed.raw"
        ).status
        != 0
    )


def test_what_was_merged_can_be_taken_away(machine: Booted) -> None:
    machine.check("systemd-sysext unmerge && systemd-confext unmerge")
    assert machine("test -e /usr/bin/strace -o -e /opt/trace").status == 1
    assert machine.check("cat /etc/greeting") == "of the gateway"
    machine.check("systemd-sysext merge && systemd-confext merge")
    assert machine.check("/opt/trace/say") == "traced"


def test_another_release_of_the_system_does_not_take_it(machine: Booted) -> None:
    """As it will be when the distribution has a new version."""
    machine.check("systemd-sysext unmerge; cp /usr/lib/os-release /tmp/kept")
    machine.check("sed -i 's/^VERSION_ID=.*/VERSION_ID=99/' /etc/os-release")
    machine("systemd-sysext merge")
    assert machine("test -e /opt/trace").status == 1
