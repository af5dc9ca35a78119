"""A system of the shape of NixOS in every output; booted as a disk and in systemd-nspawn."""

import hashlib
import json
import struct
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.nix import NixWorld
from support.nixos import build_system, make_parts
from support.programs import Programs

INSIDE = """
system={system}
test "$(readlink /run/current-system)" = $system
test "$(cat /etc/greeting)" = hello
test "$(nix-store --query --requisites /run/current-system | wc -l)" = {paths}
nix-store --verify --check-contents
test "$(wc -c </etc/machine-id)" = 33
"""
SWITCH = """
profile=/nix/var/nix/profiles/system
other=$(readlink /run/current-system/specialisation/debug)
nix-env --profile $profile --set $other
$profile/bin/switch-to-configuration switch
test "$(readlink /run/current-system)" = $other
test "$(readlink $profile)" = system-2-link
test "$(cat /etc/hostname)" = debugged
nix-env --profile $profile --rollback
$profile/bin/switch-to-configuration switch
test "$(readlink /run/current-system)" = {system}
test "$(nix-store --gc --print-dead 2>/dev/null | wc -l)" = 0
"""
DEFINITION = """
[project]
name = "gate"
version = "3"
[[nix.cache]]
url = "file://{cache}"
keys = ["{key}"]
[image.machine]
nixos = "{system}"
kernel-command-line = ["quiet"]
outputs = ["disk", "uki", "initrd"]
[image.machine.files."/etc/greeting"]
text = "hello\\n"
[[image.machine.test]]
name = "the system is whole"
run = '''{whole}'''
[image.container]
nixos = "{container}"
outputs = ["nspawn", "oci", "tar"]
[image.container.files."/etc/greeting"]
text = "hello\\n"
[[image.container.test]]
name = "the system is whole"
outputs = ["nspawn"]
run = '''{container_whole}'''
[[image.container.test]]
name = "switching goes forth and back"
outputs = ["nspawn"]
run = '''{switch}'''
[[image.container.test]]
outputs = ["oci"]
file = "/etc/greeting"
contains = "hello"
"""


@dataclass(frozen=True)
class Machine:
    """A project with a system that boots and one for containers, built."""

    workshop: Workshop
    world: NixWorld
    system: str
    """The toplevel's store path."""
    container: str
    """That of the other system."""

    def made(self, name: str) -> Path:
        return self.workshop.directory / "dist" / name.partition(".")[0] / name

    def test(self, image: str) -> dict[str, str]:
        """Verdicts of the image's tests, by output and name; of one that failed, all of it."""
        return {
            f"{case['output']} {case['name']}": case["verdict"]
            if case["verdict"] != "failed"
            else json.dumps(case, indent=1)
            for case in self.workshop("test", image, "--json").json
        }


@pytest.fixture(scope="module")
def machine(nix_world: NixWorld, tmp_path_factory: pytest.TempPathFactory, store: Path) -> Machine:
    directory = tmp_path_factory.mktemp("nixos")
    parts = make_parts(nix_world, directory / "parts", store)
    system = build_system(nix_world, parts)
    container = build_system(nix_world, parts, is_container=True)
    cache = nix_world.copy(directory / "cache", system, container, compression="none")
    project = directory / "project"
    project.mkdir()
    whole, container_whole = (
        INSIDE.format(system=one, paths=len(nix_world.closure(one))) for one in (system, container)
    )
    (project / "osloom.toml").write_text(
        DEFINITION.format(
            cache=cache,
            key=nix_world.key,
            system=system,
            container=container,
            whole=whole,
            container_whole=container_whole,
            switch=SWITCH.format(system=container),
        )
    )
    workshop = Workshop(project, store)
    for command in ("lock", "build"):
        workshop(command).check()
    return Machine(workshop, nix_world, system, container)


def test_a_second_build_makes_nothing(machine: Machine) -> None:
    made = machine.workshop("build", "--json").check().json
    assert {one["format"]: one["reused"] for one in made} == dict.fromkeys(
        ("disk", "uki", "initrd", "nspawn", "oci", "tar"), True
    )


def test_real_nix_knows_every_path_of_it(machine: Machine, tmp_path_factory: Any) -> None:
    root = tmp_path_factory.mktemp("nixos-root")
    with tarfile.open(machine.made("container.tar")) as archive:
        archive.extractall(root, filter="tar")
    world = machine.world
    verified = world.nix_store("--verify", "--check-contents", root=root).check()
    assert "error" not in verified.stderr
    profile = "/nix/var/nix/profiles/system"
    said = world.nix_store("--query", "--requisites", profile, root=root).check().stdout
    assert tuple(sorted(said.split())) == world.closure(machine.container)
    generations = world.run("nix-env", "-p", profile, "--list-generations", root=root).check()
    assert generations.stdout.split()[0] == "1"


def test_the_root_has_nothing_of_debian(machine: Machine) -> None:
    with tarfile.open(machine.made("container.tar")) as archive:
        members = {one.name: one for one in archive}
        release = archive.extractfile("etc/os-release")
        assert release is not None
        assert b"ID=nixos" in release.read()
    own = {name for name in members if not name.startswith("nix/")}
    assert own >= {"sbin/init", "init", "etc/NIXOS", "etc/machine-id", "etc/greeting", "usr"}
    assert not {name for name in own if name.startswith(("usr/", "var/lib", "etc/passwd"))}
    assert members["sbin/init"].linkname == f"{machine.container}/init"
    assert (members["nix/store"].mode, members["nix/store"].gid) == (0o1775, 30000)
    in_store = [one for name, one in members.items() if name.startswith("nix/store/")]
    assert {(one.uid, one.gid, one.mtime) for one in in_store} == {(0, 0, 1)}


def sections(program: Path) -> dict[str, bytes]:
    """The sections of a PE program by name, without padding."""
    data = program.read_bytes()
    (start,) = struct.unpack_from("<I", data, 0x3C)
    count, optional = struct.unpack_from("<H12xH", data, start + 6)
    found = {}
    for number in range(count):
        place = start + 24 + optional + 40 * number
        name, size, _, _, offset = struct.unpack_from("<8sIIII", data, place)
        found[name.rstrip(b"\0").decode()] = data[offset : offset + size]
    return found


def test_the_uki_is_what_the_bootspec_says(machine: Machine) -> None:
    found = sections(machine.made("machine.efi"))
    line = found[".cmdline"].rstrip(b"\0").decode()
    assert line == (
        f"init={machine.system}/init root=PARTLABEL=root rw console=ttyS0 loglevel=4 "
        "no_timer_check quiet"
    )
    initrd = machine.made("machine.initrd").read_bytes()
    assert found[".initrd"][: len(initrd)] == initrd
    store = machine.world.directory / "nix/store"
    theirs = store / Path((store / Path(machine.system).name / "initrd").readlink()).relative_to(
        "/nix/store"
    )
    assert theirs.read_bytes() == initrd
    assert b'PRETTY_NAME="NixOS Debian 25.11 (Linux)"' in found[".osrel"]


def test_the_esp_has_the_specialisation_too(machine: Machine, tmp_path: Path, store: Path) -> None:
    programs = Programs(tmp_path, store, "mtools")
    disk = f"{machine.made('machine.raw')}@@1M"
    said = programs("usr/bin/mdir", "-b", "-i", disk, "::/EFI/Linux")
    names = [line.rpartition("/")[2] for line in said.splitlines()]
    assert sorted(names) == ["machine_3-specialisation-debug.efi", "machine_3.efi"]
    menu = programs("usr/bin/mtype", "-i", disk, "::/loader/loader.conf")
    assert menu.splitlines()[:2] == ["default machine_3.efi", "timeout 5"]
    other = tmp_path / "debug.efi"
    programs("usr/bin/mcopy", "-i", disk, "::/EFI/Linux/machine_3-specialisation-debug.efi", other)
    found = sections(other)
    assert b"systemd.log_level=debug" in found[".cmdline"]
    assert b'PRETTY_NAME="NixOS Debian 25.11 (Linux) (debug)"' in found[".osrel"]


def test_a_container_starts_the_toplevel_and_ends_as_systemd_does(machine: Machine) -> None:
    layout = machine.made("container.oci")

    def blob(digest: str) -> Any:
        data = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest.partition(":")[2]
        return json.loads(data)

    index = json.loads((layout / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    config = blob(manifest["config"]["digest"])["config"]
    assert config["Entrypoint"] == [f"{machine.container}/init"]
    assert config["StopSignal"] == "SIGRTMIN+3"
    assert config["Env"] == [
        "PATH=/run/wrappers/bin:/run/current-system/sw/bin",
        "container=oci",
    ]
    # One for each store path, and what is around them.
    assert len(manifest["layers"]) > len(machine.world.closure(machine.container))


def test_what_the_disk_has_not_is_said_before_it_is_made(
    machine: Machine, tmp_path: Path, store: Path
) -> None:
    text = (machine.workshop.directory / "osloom.toml").read_text()
    (tmp_path / "osloom.toml").write_text(
        text.replace("kernel-command-line", 'disk = { filesystem = "btrfs" }\nkernel-command-line')
    )
    workshop = Workshop(tmp_path, store)
    workshop("lock").check()
    done = workshop("build", "machine")
    assert done.status == 1
    assert (
        "cannot make a disk of the NixOS system: it mounts / as ext4, and the disk has btrfs"
        in done.stderr
    )


def test_it_boots_as_a_disk(machine: Machine) -> None:
    assert machine.test("machine") == {
        "disk boot": "passed",
        "disk the system is whole": "passed",
        "uki boot": "skipped",
        "initrd boot": "skipped",
    }


def test_it_boots_in_systemd_nspawn_and_switches(machine: Machine) -> None:
    assert machine.test("container") == {
        "nspawn boot": "passed",
        "nspawn the system is whole": "passed",
        "nspawn switching goes forth and back": "passed",
        "oci /etc/greeting": "passed",
        "oci boot": "skipped",
        "tar boot": "skipped",
    }
