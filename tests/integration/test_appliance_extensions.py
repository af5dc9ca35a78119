"""An appliance with keys and extensions: what its devices take, who signed it, made anywhere alike."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from integration.conftest import Workshop
from osloom.api.scenarios.extensions import extension
from osloom.api.scenarios.updates import update
from support.appliance import copied
from support.cli import osloom

_EXTENSIONS = """
[image.tracing]
extends = "gateway"
packages = ["strace"]
outputs = ["sysext", "confext"]
files = { "/etc/tracing" = { text = "of the extension\\n" } }

[image.tracing.extension]
level = "1"
"""
_URL = 'url = "https://updates.example.com/gateway/"\n'
_COPY = r"""
disk=/dev/$(lsblk -ndo PKNAME $(findfs PARTLABEL=data))
size=$(blockdev --getsize64 $disk)
rest=$((size / 1048576 - 1))
cp /dev/null /var/disk.raw
dd if=$disk of=/var/disk.raw bs=1M count=800 conv=sparse status=none
dd if=$disk of=/var/disk.raw bs=1M skip=$rest seek=$rest status=none
truncate -s $size /var/disk.raw
"""
"""The device's disk as a file, without its data: systemd uses no slot twice."""
_SIGNED = "--image-policy=root=signed:=ignore"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("edge"), store)
    workshop("init", "appliance").check()
    definition = workshop.directory / "osloom.toml"
    text = definition.read_text()
    assert text.count(_URL) == 1
    text = text.replace(_URL, f'{_URL}extensions = ["tracing"]\n')
    definition.write_text(text + _EXTENSIONS)
    for words in (("keys", "new"), ("lock",)):
        workshop(*words).check()
    return workshop


@pytest.mark.long
def test_a_device_takes_extensions_and_tells_who_signed_its_slots(edge: Workshop) -> None:
    with edge.device("gateway") as (own, device):
        assert device.start() == "running"
        # Of slots it takes the newest by its label; an empty one is none.
        for version in (1, 2):
            device.run(_COPY, timeout=300)
            told = f"systemd-dissect --json=short {_SIGNED} /var/disk.raw"
            mounts = json.loads(device.run(told, timeout=300))["mounts"]
            root = next(one for one in mounts if one["designator"] == "root")
            assert (root["verity"], root["partition_label"]) == (
                "signed",
                f"{own.id}_{version}",
            )
            read = f"systemd-dissect --copy-from {_SIGNED} /var/disk.raw /etc/os-release -"
            assert f"IMAGE_VERSION={version}" in device.run(read, timeout=300).replace('"', "")
            if version == 1:
                update(own, device)
        extension(own, device)
        device.run("systemctl start osloom-update@tracing.service", timeout=900)
        assert device.run("strace -V | head -n 1; cat /etc/tracing").splitlines()[1:] == [
            "of the extension"
        ]
        # With a signature that userspace verifies: Debian's kernel does not know the certificate.
        image = device.run("ls /var/lib/extensions/tracing.sysext.raw.v/*.raw | tail -n 1")
        assert device.run(f"systemd-dissect --validate {_SIGNED} {image}") == "OK"
        said = json.loads(device.run(f"systemd-dissect --json=short {image}"))
        assert said["mounts"][0]["verity"] == "signed"
        # It is the signature that decides, not that there is one.
        device.run("mkdir /run/verity.d; cd /usr/lib/verity.d; ln -s /dev/null /run/verity.d/$(ls)")
        status, _ = device.try_(read, timeout=300)
        assert status != 0


def test_inspect_names_the_signer(edge: Workshop, tmp_path: Path) -> None:
    edge("build", "gateway").check()
    disk = edge.directory / "dist/gateway/gateway.raw"
    certificate = load_pem_x509_certificate((edge.directory / "keys/verity.crt").read_bytes())
    told = edge("inspect", f"./{disk.relative_to(edge.directory)}", "--json").check().json
    assert [one["signed_by"] for one in told["slots"]] == [
        certificate.fingerprint(SHA256()).hex(),
        None,
    ]
    assert told["problems"] == []
    shown = edge("inspect", f"./{disk.relative_to(edge.directory)}", "--verify").check().stdout
    assert f"names {certificate.fingerprint(SHA256()).hex()[:16]}…, not verified" in shown
    place = told["partitions"][told["slots"][0]["signature"] - 1]
    other = copied(disk, tmp_path / "other.raw")
    with other.open("r+b") as file:
        file.seek(place["offset"])
        said = file.read(place["size"])
        root_hash = told["slots"][0]["root_hash"].encode()
        file.seek(place["offset"])
        file.write(said.replace(root_hash, root_hash[::-1]))
    done = osloom(tmp_path, "inspect", "./other.raw", "--json")
    assert done.status == 1
    slot = done.json["slots"][0]
    assert (slot["signed_by"], slot["signature_check"]) == (None, "wrong")
    assert done.json["problems"] == [
        f"slot A, version 1: its signature is of the root hash {root_hash[::-1].decode()}"
    ]


def test_every_file_of_a_release_is_the_same_wherever_it_is_made(edge: Workshop) -> None:
    git = ["git", "-C", edge.directory, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    lines = edge("verify").check().stdout.splitlines()
    assert [line for line in lines if not line.endswith(": identical")] == []
    released = [
        line.removesuffix(": identical").rpartition("/")[2]
        for line in lines
        if line.startswith("release/gateway/")
    ]
    assert sorted({name.rpartition(".")[2] for name in released}) == [
        *("SHA256SUMS", "blocks", "bmap", "efi", "json", "root", "verity", "verity-sig", "zst")
    ]


def test_an_extension_needs_nothing_that_starts_it(edge: Workshop) -> None:
    edge("build", "tracing").check()
    told = edge("inspect", "./dist/tracing/tracing_1.sysext.raw", "--verify", "--json").check().json
    assert [(one["check"], one["uki"]) for one in told["slots"]] == [("whole", None)]
    assert (told["esp"], told["problems"]) == (None, [])
