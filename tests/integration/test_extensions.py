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

[keys]
directory = "keys"

[image.plain]
packages = ["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "libcryptsetup12", "systemd-container"]
systemd = { enable = ["systemd-sysext.service", "systemd-confext.service"] }

[image.plain.files]
"/etc/fstab" = { text = "LABEL=machine /srv ext4 defaults 0 0\\n" }
"/etc/greeting" = { text = "of the gateway\\n" }
"/var/lib/extensions" = { link = "/srv/extensions" }
"/var/lib/confexts" = { link = "/srv/confexts" }

[image.gateway]
from = "plain"
outputs = ["disk"]
files = { "/usr/lib/verity.d/edge.crt" = "keys/verity.crt" }

[image.tracing]
extends = "gateway"
packages = ["strace", "vim-tiny"]
outputs = ["sysext", "confext"]
systemd = { enable = ["trace.service"] }

[image.tracing.files]
"/etc/greeting" = { text = "of the extension\\n" }
"/opt/trace/say" = { text = "#!/bin/sh\\necho traced\\n", mode = "0755", group = "messagebus" }

[image.tracing.files."/usr/lib/systemd/system/trace.service"]
text = '''
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/strace -o /run/trace /opt/trace/say

[Install]
WantedBy=multi-user.target
'''

[image.site]
extends = "plain"
files = { "/etc/site" = { text = "of the site\\n" } }
outputs = ["confext"]
"""
_SYSEXT = "/srv/extensions/tracing.sysext.raw.v/tracing_7.sysext.raw"
_CONFEXT = "/srv/confexts/tracing_7.confext.raw"
_SITE = "edge-site_7.confext"
_EROFS = bytes.fromhex("e2e1f5e0")
"""The magic number of its superblock."""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("edge"), store)
    definition = workshop.directory / "osloom.toml"
    definition.write_text(_DEFINITION.replace('"keys/verity.crt"', "{ directory = true }"))
    workshop("keys", "new").check()
    definition.write_text(_DEFINITION)
    for command in ("lock", "build"):
        workshop(command).check()
    workshop("release", "site", "--to", str(workshop.directory / "channel")).check()
    return workshop


@pytest.fixture(scope="module")
def machine(edge: Workshop, store: Path) -> Iterator[Booted]:
    """The gateway, with the extensions on a disk of their own since before it started."""
    directory = edge.directory
    (directory / "programs").mkdir()
    programs = Programs(directory / "programs", store, "e2fsprogs")
    # Once as updates put it there, and once as a person does.
    for place, name in (
        ("extensions/tracing.sysext.raw.v", "tracing_7.sysext"),
        ("confexts", "tracing_7.confext"),
    ):
        target = directory / "content" / place
        target.mkdir(parents=True)
        for suffix in ("raw", "roothash"):
            shutil.copy(directory / f"dist/tracing/{name}.{suffix}", target)
    shutil.copytree(directory / "channel/site", directory / "content/channel")
    disk = empty_disk(directory / "machine.raw", programs, "machine", directory / "content")
    with booted(directory, store, "gateway", disk) as found:
        assert found.state == "running", found.check("systemctl --failed --no-pager")
        yield found


def test_what_is_merged_at_the_boot_runs(machine: Booted) -> None:
    assert "tracing" in machine.check("systemd-sysext list --no-legend")
    assert machine.check("/opt/trace/say") == "traced"
    # A group that only the extended image has.
    assert machine.check("stat -c %G /opt/trace/say") == "messagebus"
    assert "strace -- version" in machine.check("strace --version")
    # A name that update-alternatives would have made.
    assert machine.check("readlink -f /usr/bin/vi") == "/usr/bin/vim.tiny"
    assert machine.check("cat /etc/greeting") == "of the extension"


def test_its_unit_is_started(machine: Booted) -> None:
    machine.check("until systemctl is-active --quiet trace.service; do sleep 1; done")
    assert "execve" in machine.check("cat /run/trace")


def test_the_kernel_verifies_it(machine: Booted) -> None:
    ids = set(machine.check("cat /sys/block/dm-*/dm/uuid").split())
    hashes = machine.check(
        f"cat {_SYSEXT.removesuffix('raw')}roothash; echo; cat /srv/confexts/*.roothash"
    )
    assert {one.rsplit("-", 2)[1] for one in ids} == set(hashes.split())


@pytest.mark.parametrize(("path", "kind"), [(_SYSEXT, "sysext"), (_CONFEXT, "confext")])
def test_systemd_dissect_tells_what_it_is(machine: Booted, path: str, kind: str) -> None:
    said: Any = json.loads(machine.check(f"systemd-dissect --json=short {path}"))
    assert said[f"{kind}Release"][:3] == ["ID=debian", "VERSION_ID=13", "ARCHITECTURE=x86-64"]
    assert said["useSystemExtension" if kind == "sysext" else "useConfigurationExtension"]
    root, hashes, signature = said["mounts"]
    assert (root["designator"], root["fstype"], root["verity"]) == ("root", "erofs", "signed")
    assert (signature["designator"], signature["fstype"]) == (
        "root-verity-sig",
        "verity_hash_signature",
    )
    assert (hashes["designator"], hashes["fstype"]) == ("root-verity", "DM_verity_hash")
    assert root["partition_label"] == hashes["partition_label"] == "tracing_7"
    assert machine.check(f"systemd-dissect --validate {path}") == "OK"


@pytest.mark.long
def test_a_signature_of_somebody_unknown_is_refused(machine: Booted) -> None:
    """And not passed over: with a signature it is merged for its signer's sake, or not at all."""
    machine.check(f"cp {_SYSEXT} /tmp/signed.raw")
    listed = "systemd-dissect --list /tmp/signed.raw"
    assert "opt/trace/say" in machine.check(listed).split()
    machine.check("mkdir -p /run/verity.d; ln -s /dev/null /run/verity.d/edge.crt")
    assert machine(listed).status != 0
    machine.check("rm /run/verity.d/edge.crt")


def test_a_byte_that_was_changed_is_seen(edge: Workshop, machine: Booted) -> None:
    """In the first block of the file system; before systemd shares a device that is right."""
    place = (edge.directory / "dist/site/site_7.confext.raw").read_bytes().index(_EROFS) + 76
    listed = "systemd-dissect --list --image-policy=root=verity"
    change = f"dd of=/tmp/{_SITE}.raw bs=1 seek={place} conv=notrunc status=none"
    machine.check(f"cp /srv/channel/{_SITE}.* /tmp; printf x | {change}")
    assert machine(f"{listed} /tmp/{_SITE}.raw").status != 0
    assert "etc/site" in machine.check(f"{listed} /srv/channel/{_SITE}.raw").split()


def test_an_update_brings_it_with_its_root_hash(machine: Booted) -> None:
    """By systemd-sysupdate, from a channel that is a directory."""
    assert machine("test -e /etc/site").status == 1
    machine.check("mkdir -p /run/sysupdate.site.d /var/lib/confexts/site.confext.raw.v")
    for number, suffix in ((10, "roothash"), (20, "raw")):
        text = f"""[Transfer]
Verify=no
[Source]
Type=regular-file
Path=/srv/channel
MatchPattern=edge-site_@v.confext.{suffix}
[Target]
Type=regular-file
Path=/var/lib/confexts/site.confext.raw.v
MatchPattern=site_@v.confext.{suffix}
InstancesMax=2
"""
        place = f"/run/sysupdate.site.d/{number}-{suffix}.transfer"
        machine.check(f"cat >{place} <<'end'\n{text}end")
    machine.check("/usr/lib/systemd/systemd-sysupdate --component=site update")
    machine.check("systemd-confext refresh")
    assert machine.check("cat /etc/site") == "of the site"
    active = machine.check("cat /sys/block/dm-*/dm/uuid")
    assert machine.check(f"cat /srv/channel/{_SITE}.roothash") in active


def test_what_was_merged_can_be_taken_away(machine: Booted) -> None:
    machine.check("systemd-sysext unmerge && systemd-confext unmerge")
    assert machine("test -e /usr/bin/strace -o -e /opt/trace").status == 1
    assert machine.check("cat /etc/greeting") == "of the gateway"
    machine.check("systemd-sysext merge && systemd-confext merge")
    assert machine.check("/opt/trace/say") == "traced"


def test_a_system_of_another_version_does_not_take_it(machine: Booted) -> None:
    machine.check("systemd-sysext unmerge; systemd-confext unmerge")
    machine.check("sed -i 's/^VERSION_ID=.*/VERSION_ID=99/' /etc/os-release")
    assert "1 ignored" in machine.check("systemd-sysext merge 2>&1")
    assert machine("test -e /opt/trace").status == 1


def test_built_elsewhere_it_is_the_same(edge: Workshop) -> None:
    files = [f"{kind}.{suffix}" for kind in ("sysext", "confext") for suffix in ("raw", "roothash")]
    released = sorted([*files, "json"])
    assert edge("verify", "tracing").check().stdout.splitlines() == [
        *(f"tracing/tracing_7.{name}: identical" for name in files),
        *(f"release/tracing/edge-tracing_7.{name}: identical" for name in released),
        "release/tracing/SHA256SUMS: identical",
    ]
