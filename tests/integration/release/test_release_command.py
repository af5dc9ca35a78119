"""`osloom release` of an appliance, read by the programs of a device."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.conftest import Workshop
from osloom.api.project import open_project, open_store
from osloom.api.scenarios.trial import trial
from osloom.api.session import Session
from osloom.base.files import sha256_sparse
from osloom.base.progress import silent
from osloom.engine.tools import start_from
from osloom.keys.make import make_keys
from osloom.keys.sign import keyring
from osloom.run.serve import serving
from support.appliance import PACKAGES, Bench
from support.programs import Programs

_DEFINITION = """
[project]
name = "edge"
version = "1"

[keys]
directory = "keys"

[release]
to = "channel"
keep = 2

[image.gateway]
packages = [
    "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64",
    "systemd-container", "systemd-boot", "curl", "gpg",
]
outputs = ["disk"]

[image.gateway.disk]
layout = "appliance"
compression = "lz4"

[image.gateway.update]
url = "http://10.0.2.2:8080/gateway/"

[image.tool]
packages = ["busybox-static"]
configure = "none"
outputs = ["tar"]
"""
_TRANSFER = """
[Transfer]
Verify=yes
[Source]
Type=url-file
Path={url}gateway
MatchPattern=edge-gateway_@v.efi
[Target]
Type=regular-file
Path=/target
MatchPattern=edge-gateway_@v.efi
InstancesMax=2
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    """With keys, and version 1 in its channel."""
    workshop = Workshop(tmp_path_factory.mktemp("edge"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    workshop("keys", "new").check()
    workshop("lock").check()
    workshop("release").check()
    return workshop


def set_version(project: Workshop, version: int | str, *more: tuple[str, str]) -> None:
    text = _DEFINITION.replace('version = "1"', f'version = "{version}"')
    for old, new in more:
        text = text.replace(old, new)
    (project.directory / "osloom.toml").write_text(text)


@dataclass
class Device:
    """What updates itself: systemd-sysupdate, systemd-pull and gpg in a root of their own."""

    programs: Programs
    directory: Path

    def update(self) -> subprocess.CompletedProcess[bytes]:
        for name in ("target", "transfers"):
            (self.directory / name).mkdir(exist_ok=True)
        root, own = self.programs.root, self.directory
        return subprocess.run(
            [
                *start_from(root, "usr/bin/bwrap"),
                *("--ro-bind", root, "/", "--dev", "/dev", "--proc", "/proc"),
                *("--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var"),
                *("--ro-bind", own / "pubring.gpg", "/etc/systemd/import-pubring.gpg"),
                *("--ro-bind", own / "transfers", "/etc/sysupdate.d"),
                *("--bind", own / "target", "/target"),
                "/usr/lib/systemd/systemd-sysupdate",
                "--verify=yes",
                "update",
            ],
            env={"PATH": "/usr/bin", "SYSTEMD_LOG_LEVEL": "debug"},
            capture_output=True,
            check=False,
        )

    @property
    def versions(self) -> set[str]:
        return {one.name for one in (self.directory / "target").iterdir()}


@pytest.fixture(scope="module")
def device_programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    programs = Programs(
        tmp_path_factory.mktemp("device-programs"),
        store,
        *("systemd-container", "gpg", "bubblewrap"),
    )
    for place in ("etc/systemd/import-pubring.gpg", "etc/sysupdate.d/x", "target/x"):
        path = programs.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return programs


def test_what_a_release_holds(project: Workshop) -> None:
    channel = project.directory / "channel/gateway"
    shown = sorted(one.name for one in channel.iterdir() if not one.name.startswith("."))
    manifest = json.loads((channel / "edge-gateway_1.json").read_text())
    suffixes = sorted(name.partition(".")[2] for name in shown if name.startswith("edge"))
    disk = ["raw.bmap", "raw.zst"]
    assert suffixes == ["blocks", "efi", "json", *disk, "root", "verity", "verity-sig"]
    assert [name for name in shown if not name.startswith("edge")] == [
        "SHA256SUMS",
        "SHA256SUMS.gpg",
    ]
    assert manifest["id"] == "edge-gateway"
    assert {"name": "bash", "source": "bash"}.items() <= next(
        one for one in manifest["packages"] if one["name"] == "bash"
    ).items()


def test_the_disk_for_new_devices_is_the_one_that_a_build_makes(
    project: Workshop, tmp_path: Path, store: Path
) -> None:
    """Packed in frames while other things are made, the one beside the other: by zstd, and as
    bmaptool, which reads no more of it than the map says, writes it."""
    set_version(project, 1)
    project("build").check()
    (tmp_path / "programs").mkdir()
    programs = Programs(tmp_path / "programs", store, *PACKAGES)
    channel = project.directory / "channel/gateway"
    for name in ("edge-gateway_1.raw.zst", "edge-gateway_1.raw.bmap"):
        shutil.copyfile(channel / name, tmp_path / name)
    built = sha256_sparse(project.directory / "dist/gateway/gateway.raw")
    bench = Bench(programs, tmp_path)
    bench.run("zstd", "-q", "-d", "edge-gateway_1.raw.zst", "-o", "disk.raw")
    assert sha256_sparse(tmp_path / "disk.raw") == built
    bench.run("bmaptool", "copy", "edge-gateway_1.raw.zst", "copy.raw")
    assert sha256_sparse(tmp_path / "copy.raw") == built


def test_a_device_takes_one_version_after_the_other(
    project: Workshop, device_programs: Programs, tmp_path: Path
) -> None:
    device = Device(device_programs, tmp_path)
    (tmp_path / "pubring.gpg").write_bytes(
        keyring((project.directory / "keys/release.pub").read_bytes())
    )
    (tmp_path / "transfers").mkdir()
    channel = tmp_path / "channel"
    shutil.copytree(project.directory / "channel", channel, symlinks=True)
    to = ("--to", str(channel))
    with serving(channel) as server:
        (tmp_path / "transfers/efi.transfer").write_text(_TRANSFER.format(url=server.url))
        done = device.update()
        assert done.returncode == 0, done.stderr.decode()
        assert device.versions == {"edge-gateway_1.efi"}
        set_version(project, 2)
        (said,) = project("release", *to, "--json").check().json
        assert (said["version"], said["versions"], said["signed"]) == ("2", [2, 1], True)
        _check_refusals(device, channel / "gateway")
        done = device.update()
        assert done.returncode == 0, done.stderr.decode()
        assert device.versions == {"edge-gateway_1.efi", "edge-gateway_2.efi"}


def _check_refusals(device: Device, channel: Path) -> None:
    """What is forged or damaged is not taken, and what was there stays."""
    sums = (channel / "SHA256SUMS").read_bytes()
    efi = channel / "edge-gateway_2.efi"
    content = efi.read_bytes()
    for path, damaged in (
        (channel / "SHA256SUMS", sums.replace(b"_1.efi", b"_3.efi")),
        (efi, content[:-1] + b"x"),
        (efi, content[:-1]),
    ):
        good = path.read_bytes()
        path.write_bytes(damaged)
        done = device.update()
        assert done.returncode != 0, done.stderr.decode()
        assert device.versions == {"edge-gateway_1.efi"}
        path.write_bytes(good)


def test_the_same_again_and_what_is_refused(project: Workshop) -> None:
    set_version(project, 1)
    again = project("release").check()
    assert "edge-gateway: version 1 is unchanged at channel/gateway\n" in again.stdout
    assert "edge-gateway: 0 B sent; versions there: 1\n" in again.stdout
    set_version(project, "1.5")
    named = project("release", "--json")
    assert (named.status, named.json["error"]) == (
        2,
        "the version of an appliance is a whole number, not `1.5`",
    )


def test_a_version_for_another_firmware_is_not_published(project: Workshop, tmp_path: Path) -> None:
    set_version(project, 1)
    channel = tmp_path / "channel"
    shutil.copytree(project.directory / "channel", channel, symlinks=True)
    manifest = json.loads((channel / "gateway/edge-gateway_1.json").read_text())
    trusted = manifest["room"]["secure_boot"]
    assert trusted in project("keys", "show").check().stdout
    make_keys(tmp_path / "other", name="other", now=int(time.time()))
    apart = 'release = "keys/release.key"\nverity = "keys/verity.key"'
    other = f'{apart}\nsecure-boot = "{tmp_path}/other/secure-boot/db.key"'
    for keys, said in (
        (apart, "not signed for secure boot"),
        (other, "signed by another secure boot key"),
    ):
        set_version(project, 2, ('directory = "keys"', keys))
        for more in (("--dry-run",), ()):
            done = project("release", "--json", "--to", str(channel), *more)
            assert (done.status, done.json["error"]) == (
                1,
                (
                    f"cannot release version 2 of `edge-gateway`: its UKI is {said}, and the"
                    " firmware of devices that were made before would not start it"
                ),
            )
            assert f"of the certificate {trusted} in `[keys]`" in done.json["hint"]
    assert not list(channel.glob("gateway/edge-gateway_2*"))


def test_a_trial_publishes_what_no_firmware_starts(project: Workshop) -> None:
    set_version(project, 1)
    opened = open_project(project.directory / "osloom.toml")
    with (
        contextlib.closing(open_store(project.store)) as store,
        Session(opened, opened.lock(), store, silent) as session,
        trial(session, "gateway", now=int(time.time())) as own,
    ):
        assert own.publish(signed=False) == 2
        assert own.publish() == 3


def test_how_it_must_be_called(project: Workshop, tmp_path: Path) -> None:
    def said(*arguments: str) -> tuple[int, str, str]:
        done = project("release", "--json", *arguments)
        return done.status, done.json["error"], done.json["hint"]

    set_version(project, 1, ('to = "channel"', ""))
    assert said() == (
        2,
        "cannot tell which channel to publish to",
        'add `to = "s3://releases"` to `[release]`, or use `--to`',
    )
    url = 'url = "http://10.0.2.2:8080/gateway/"'
    set_version(project, 1, ('directory = "keys"', ""), (url, ""))
    assert said()[:2] == (2, "cannot sign the release: the definition names no key for it")
    set_version(project, 1)
    assert said("--to", "") == (
        2,
        "cannot publish to a channel without a name: `--to` is empty",
        "name one, or leave `--to` out to publish to that of the definition",
    )
    assert said("--unsigned")[:2] == (
        1,
        (
            "cannot publish to channel/gateway without a signature: it is signed,"
            " and its devices would refuse what is not"
        ),
    )
    assert said("tool")[:2] == (2, "cannot release `tool`: it is no appliance or extension")
    assert said("gatewy") == (2, "cannot find the image `gatewy`", "did you mean `gateway`?")
    assert said("--keep", "0")[:2] == (2, "cannot keep no version: the newest stays")
    planned = project("release", "--to", str(tmp_path / "new"), "--dry-run").check()
    assert "would be published" in planned.stdout
    assert not (tmp_path / "new").exists()
    if os.getuid() == 0:
        return
    tmp_path.chmod(0o500)
    assert said("--to", str(tmp_path / "new"))[0] == 1
