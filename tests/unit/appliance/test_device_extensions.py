"""What a device is told of its extensions, and which of their versions it has merged."""

import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from osloom.base.command import run
from osloom.compose.appliance.extensions import extension_files, extension_links, levels
from osloom.compose.appliance.signature import signature_files
from osloom.compose.appliance.units import programs
from osloom.model.appliance import Appliance, made_partitions
from osloom.model.disk import Disk
from osloom.model.fetched import Fetched, url_beside
from osloom.model.update import Update

TRACING = Fetched(
    name="tracing",
    id="edge-tracing",
    url="https://updates.example.com/tracing/",
    kinds=("sysext", "confext"),
    level="2",
)
OWN = Appliance(
    id="edge-gateway",
    version="7",
    architecture="amd64",
    epoch=0,
    disk=Disk(layout="appliance"),
    update=Update(url="https://updates.example.com/gateway/", random_delay="2h"),
    extensions=(TRACING,),
    signed=True,
)
SYSTEM = "usr/lib/systemd/system"


def test_an_image_is_never_there_without_its_root_hash() -> None:
    place = "usr/lib/sysupdate.tracing.d/"
    made = {path: text for path, text in extension_files(OWN).items() if path.startswith(place)}
    assert [path.removeprefix(place) for path in sorted(made)] == [
        "10-sysext-roothash.transfer",
        "20-sysext-image.transfer",
        "30-confext-roothash.transfer",
        "40-confext-image.transfer",
    ]
    image = made[f"{place}20-sysext-image.transfer"]
    assert [line for line in image.splitlines() if "=" in line] == [
        "Verify=yes",
        "Type=url-file",
        "Path=https://updates.example.com/tracing/",
        "MatchPattern=edge-tracing_@v.sysext.raw",
        "Type=regular-file",
        "Path=/var/lib/extensions/tracing.sysext.raw.v",
        "MatchPattern=tracing_@v.sysext.raw",
        "Mode=0444",
        "InstancesMax=2",
    ]
    # What they are written to is there before.
    assert extension_files(OWN)["usr/lib/tmpfiles.d/osloom-extensions.conf"].splitlines() == [
        "d /var/lib/extensions/tracing.sysext.raw.v 0755 root root -",
        "d /var/lib/confexts/tracing.confext.raw.v 0755 root root -",
    ]


def test_extensions_are_looked_for_as_the_system_is() -> None:
    assert "RandomizedDelaySec=2h\n" in extension_files(OWN)[f"{SYSTEM}/osloom-update@.timer"]
    assert extension_links(OWN)[
        f"{SYSTEM}/timers.target.wants/osloom-update@tracing.timer"
    ].endswith("osloom-update@.timer")


@pytest.mark.parametrize("signed", [True, False])
def test_with_a_key_only_what_is_signed_is_merged(*, signed: bool) -> None:
    made = extension_files(msgspec.structs.replace(OWN, signed=signed))
    merging = [line for text in made.values() for line in text.splitlines() if "refresh" in line]
    merging += [
        line for text in made.values() for line in text.splitlines() if "/extensions" in line
    ]
    programs = [line for line in merging if line.startswith("Exec") and not line.endswith("=")]
    assert programs
    assert all(("root=signed" in line) == signed for line in programs)


def test_without_extensions_there_is_nothing_of_them() -> None:
    alone = msgspec.structs.replace(OWN, extensions=())
    assert (extension_files(alone), extension_links(alone)) == ({}, {})


def test_the_system_says_the_level_of_its_extensions() -> None:
    assert levels(OWN.extensions) == {"SYSEXT_LEVEL": "2", "CONFEXT_LEVEL": "2"}
    assert levels([msgspec.structs.replace(TRACING, level=None)]) == {}


@pytest.mark.parametrize(
    ("url", "beside"),
    [
        ("https://updates.example.com/gateway/", "https://updates.example.com/tracing/"),
        ("https://updates.example.com/gateway", "https://updates.example.com/tracing/"),
        ("http://10.0.2.2:80/a/gateway//", "http://10.0.2.2:80/a/tracing/"),
        ("https://updates.example.com/", None),
        ("https://updates.example.com", None),
        ("", None),
    ],
)
def test_an_extension_is_beside_the_system(url: str, beside: str | None) -> None:
    assert url_beside(url, "tracing") == beside


def test_a_signed_slot_has_a_place_for_the_signature() -> None:
    kinds = [one.type.removeprefix("root-x86-64") for one in made_partitions(OWN)]
    assert kinds == ["esp", "", "-verity", "-verity-sig", "", "-verity", "-verity-sig"]
    assert len({one.id for one in made_partitions(OWN)}) == len(kinds)
    (transfer, drop_in) = signature_files(OWN).values()
    assert "MatchPartitionType=root-x86-64-verity-sig\n" in transfer
    assert "41092b05-9fc8-4523-994f-2def0408b176 15-signature.transfer" in drop_in
    assert signature_files(msgspec.structs.replace(OWN, signed=False)) == {}


@pytest.mark.parametrize("has_place", [True, False])
def test_a_disk_without_places_for_signatures_goes_on(tmp_path: Path, *, has_place: bool) -> None:
    kind = "41092b05-9fc8-4523-994f-2def0408b176"
    lsblk = tmp_path / "lsblk"
    lsblk.write_text(f"#!/bin/sh\necho; echo {kind.upper() if has_place else 'another'}\n")
    lsblk.chmod(0o755)
    text = programs()["usr/lib/osloom/skip-signature"].replace("/run/", f"{tmp_path}/run/")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["sh", "-c", text, "skip-signature", kind, "15-signature.transfer"]
    run(words, environment={**os.environ, **path})
    mask = tmp_path / "run/sysupdate.d/15-signature.transfer"
    assert mask.is_symlink() != has_place


class Device:
    """Directories that stand for a device's, and a systemd-sysext that merges what says `fits`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "var/lib/extensions/tracing.sysext.raw.v"
        self.released = root / "usr/lib/extension-release.d/extension-release.tracing"
        for directory in (self.versions, self.released.parent, root / "run", root / "bin"):
            directory.mkdir(parents=True)
        sysext = root / "bin/systemd-sysext"
        sysext.write_text(f"""#!/bin/sh
echo "$@" >>{root}/said
cd {root}
file=run/extensions/tracing.sysext.raw
[ -e $file ] || file=$(ls {self.versions}/*.raw | sort -V | tail -n 1)
rm -f {self.released}
version=$(readlink -f $file | sed 's/.*_\\([0-9]*\\).sysext.raw/\\1/')
[ "$(cat $file)" != fits ] || echo "SYSEXT_VERSION_ID=$version" >{self.released}
""")
        sysext.chmod(0o755)

    def run(self, name: str, *arguments: str) -> str:
        text = programs()[name]
        text = re.sub(r"(?<=[ =\"])/(run|var/lib|usr/lib|etc)\b", rf"{self.root}/\1", text)
        text = text.replace("#/var/lib/", f"#{self.root}/var/lib/")
        path = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        done = run(["sh", "-c", text, "program", *arguments], environment={**os.environ, **path})
        return done.stdout.decode()

    def add(self, version: int, *, fits: bool = True) -> None:
        for suffix in ("raw", "roothash"):
            path = self.versions / f"tracing_{version}.sysext.{suffix}"
            path.write_text("fits" if fits else "does not")

    def merge(self) -> str:
        self.run("usr/lib/osloom/extensions", "--option")
        return self.released.read_text().strip() if self.released.exists() else ""

    def refreshed(self) -> int:
        said = self.root / "said"
        lines = said.read_text().splitlines() if said.exists() else []
        assert set(lines) <= {"refresh --option"}
        return len(lines)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_nothing_is_done_before_anything_is_there(device: Device) -> None:
    assert device.merge() == ""
    assert device.refreshed() == 0


def test_the_newest_version_is_merged_once(device: Device) -> None:
    device.add(9)
    device.add(10)
    assert device.merge() == "SYSEXT_VERSION_ID=10"
    assert device.merge() == "SYSEXT_VERSION_ID=10"
    assert device.refreshed() == 1
    device.add(11)
    assert device.merge() == "SYSEXT_VERSION_ID=11"


def test_an_older_version_stays_where_the_newest_does_not_fit(device: Device) -> None:
    device.add(9)
    device.add(10, fits=False)
    assert device.merge() == "SYSEXT_VERSION_ID=9"
    hashes = device.root / "run/extensions/tracing.sysext.roothash"
    assert hashes.resolve() == device.versions / "tracing_9.sysext.roothash"
    tries = device.refreshed()
    assert device.merge() == "SYSEXT_VERSION_ID=9"
    assert device.refreshed() == tries
    device.add(11)
    assert device.merge() == "SYSEXT_VERSION_ID=11"
    assert not list((device.root / "run/extensions").iterdir())


def test_where_none_fits_none_is_merged(device: Device) -> None:
    device.add(9, fits=False)
    device.add(8, fits=False)
    assert device.merge() == ""
    assert not list((device.root / "run/extensions").iterdir())


def test_what_is_merged_does_not_make_room(device: Device) -> None:
    transfers = device.root / "usr/lib/sysupdate.tracing.d"
    transfers.mkdir()
    (transfers / "20-sysext-image.transfer").touch()
    device.run("usr/lib/osloom/protect-extension", "tracing")
    place = device.root / "run/sysupdate.tracing.d/20-sysext-image.transfer.d/merged.conf"
    assert not place.exists()
    device.add(9)
    device.merge()
    device.run("usr/lib/osloom/protect-extension", "tracing")
    assert place.read_text() == "[Transfer]\nProtectVersion=9\n"


def test_the_status_names_what_is_there_and_what_is_merged(device: Device) -> None:
    device.add(9)
    device.add(10, fits=False)
    device.merge()
    text = programs()["usr/bin/osloom-status"]
    functions = "\n".join(
        re.findall(r"^(?:text|extensions)\(\) \{.*?^\}", text, re.DOTALL | re.MULTILINE)
    )
    place = device.root / "status"
    place.write_text(f"{functions}\nextensions\n")
    script = place.read_text().replace("/var/lib/", f"{device.root}/var/lib/")
    script = script.replace("place=/usr/lib", f"place={device.root}/usr/lib")
    said = run(["sh", "-c", script], environment={**os.environ}).stdout.decode()
    assert json.loads(f"[{said}]") == [
        {"name": "tracing", "kind": "sysext", "merged": "9", "versions": ["10", "9"]}
    ]
