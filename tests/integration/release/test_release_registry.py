"""Releases in an OCI registry, pulled by oras and checked by gpg."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from osloom.base.errors import Error, FetchError
from osloom.base.progress import silent
from osloom.engine.tools import start_from
from osloom.fetch.registry.registry import open_registry
from osloom.keys.openpgp import ReleaseSigner
from osloom.keys.sign import keyring as in_binary
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.published import Published
from osloom.release.registry import RegistryChannel
from osloom.release.version import Release, Room
from support.cli import osloom
from support.programs import Programs
from support.publishing import ID, expected_files, grown, make_release, make_signer
from support.registry import Server, running

REPOSITORY = "releases/gateway"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    names = ("docker-registry", "oras", "gpgv", "coreutils")
    return Programs(tmp_path_factory.mktemp("release-registry"), store, *names)


@pytest.fixture
def server(tmp_path: Path, programs: Programs) -> Iterator[Server]:
    with running(programs.root, tmp_path / "registry") as one:
        yield one


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> ReleaseSigner:
    return make_signer(tmp_path_factory.mktemp("keys") / "own")


def publish(
    server: Server, release: Release, signer: ReleaseSigner | None, *, dry_run: bool = False
) -> Published:
    with open_registry(server.address) as registry:
        channel = RegistryChannel(registry, REPOSITORY)
        return channel.publish(release, signer=signer, dry_run=dry_run, report=silent)


def test_oras_pulls_what_devices_verify(
    server: Server, programs: Programs, signer: ReleaseSigner, tmp_path: Path
) -> None:
    first, second = (make_release(tmp_path / "files", one) for one in (1, 2))
    planned = publish(server, first, signer, dry_run=True)
    assert {file.name for file in planned.files if file.sent} == {*first.sums()}
    assert not (server.data / "docker/registry/v2/repositories").exists()
    assert publish(server, first, signer).versions == (1,)
    assert publish(server, second, signer).versions == (2, 1)
    for tag, release in (("1", first), ("2", second), ("latest", second)):
        pulled = tmp_path / f"pulled-{tag}"
        name = f"{server.address}/{REPOSITORY}:{tag}"
        programs("usr/bin/oras", "pull", "--plain-http", "-o", pulled, name)
        assert {one.name for one in pulled.iterdir()} == expected_files(release)
        keyring = tmp_path / "keyring"
        keyring.write_bytes(in_binary(signer.public))
        pair = (pulled / SIGNATURE, pulled / SUMS)
        programs("usr/bin/gpgv", "--keyring", keyring, *pair)
        summing = start_from(programs.root, "usr/bin/sha256sum")
        done = subprocess.run([*summing, "-c", "--strict", SUMS], cwd=pulled, check=False)
        assert done.returncode == 0


def test_the_same_again_sends_nothing(
    server: Server, signer: ReleaseSigner, tmp_path: Path
) -> None:
    release = make_release(tmp_path / "files", 1)
    publish(server, release, signer)
    count = len(server.requests())
    again = publish(server, release, signer)
    assert (again.unchanged, again.sent) == (True, 0)
    assert {one.split()[0] for one in server.requests()[count:]} <= {"GET", "HEAD"}


def test_what_is_refused(server: Server, signer: ReleaseSigner, tmp_path: Path) -> None:
    where = f"{server.address}/{REPOSITORY}"
    publish(server, make_release(tmp_path / "files", 3), signer)
    publish(server, make_release(tmp_path / "files", 10), signer)
    with pytest.raises(Error) as caught:
        publish(server, make_release(tmp_path / "files", 9), signer)
    assert caught.value.message == (
        f"cannot release version 9 of `{ID}`: version 10 is published already,"
        " and devices do not go back"
    )
    with pytest.raises(Error) as caught:
        publish(server, make_release(tmp_path / "other", 10, salt="other"), signer)
    assert caught.value.message == (
        f"cannot release version 10 of `{ID}`: it is published already, with other bytes"
    )
    assert caught.value.hint == 'set `version = "11"` in `[project]`'
    with pytest.raises(FetchError) as refused:
        publish(server, make_release(tmp_path / "files", 11), None)
    assert refused.value.message == (
        f"cannot publish to {where} without a signature: it is signed,"
        " and its devices would refuse what is not"
    )


def test_what_no_older_device_has_room_for_is_not_published(
    server: Server, signer: ReleaseSigner, tmp_path: Path
) -> None:
    for version, slot in ((1, 200_000), (2, 1 << 30)):
        room = Room(slot=slot, esp=1 << 30)
        publish(server, make_release(tmp_path / "files", version, room=room), signer)
    third = make_release(tmp_path / "files", 3, room=room)
    with pytest.raises(Error, match="would not fit into slots of 1 MiB"):
        publish(server, grown(third), signer)
    assert publish(server, third, signer).versions == (3, 2, 1)


def test_more_tags_than_a_page_has(
    server: Server, programs: Programs, signer: ReleaseSigner, tmp_path: Path
) -> None:
    publish(server, make_release(tmp_path / "files", 1), signer)
    name = f"{server.address}/{REPOSITORY}"
    tags = [f"v{number}" for number in range(150)]
    programs("usr/bin/oras", "tag", "--plain-http", f"{name}:1", *tags)
    with open_registry(server.address) as registry:
        assert {*registry.tags(REPOSITORY)} == {"1", "latest", *tags}
        assert registry.tags("releases/absent") == ()


def test_the_command_keeps_what_a_registry_has(tmp_path: Path, store: Path) -> None:
    (tmp_path / "osloom.toml").write_text(
        '[project]\nversion = "1"\n[release]\nto = "oci://127.0.0.1:1/releases"\n'
        '[image.a]\noutputs = ["disk"]\ndisk.layout = "appliance"\n'
    )
    osloom(tmp_path, "lock", OSLOOM_STORE=str(store)).check()
    done = osloom(tmp_path, "release", "--unsigned", "--keep", "2", OSLOOM_STORE=str(store))
    assert (done.status, done.stderr) == (
        2,
        (
            "error: cannot remove versions from a registry: its own rules do that\n"
            "hint: leave `--keep` out\n"
        ),
    )
