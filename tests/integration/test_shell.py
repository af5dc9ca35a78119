"""A shell with debug tools in an image that has none of them."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.cli import environment

DEFINITION = """
[image.bare]
packages = ["catatonit"]
configure = "none"
outputs = ["oci", "tar"]

[image.bare.oci]
entrypoint = ["/usr/bin/catatonit", "/no/such/program"]
env = { PATH = "/opt/bin", COLOUR = "blue" }
user = "1234"

[image.old]
packages = ["dash", "coreutils"]
configure = "none"
outputs = ["oci"]

[image.archive]
packages = ["dash"]
configure = "none"
outputs = ["tar"]
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("shell"), store)
    (workshop.directory / "osloom.toml").write_text(DEFINITION)
    workshop("lock").check()
    workshop("build").check()
    return workshop


@pytest.mark.parametrize(
    "command",
    [
        ["bash", "-c", "test $COLOUR = blue"],
        ["curl", "--version"],
        ["strace", "--quiet", "true"],
        ["ps", "aux"],
        ["ip", "address"],
        ["vim.tiny", "--version"],
        ["less", "--version"],
        ["mawk", "BEGIN { exit 0 }"],
        ["test", "-s", "/.osloom/etc/ssl/certs/ca-certificates.crt"],
    ],
    ids=lambda words: words[0],
)
def test_the_tools_run_in_an_image_without_a_library(bare: Workshop, command: list[str]) -> None:
    assert bare("shell", "bare", *command).check().status == 0


def test_it_is_root_of_the_image_and_its_status_is_the_status(bare: Workshop) -> None:
    done = bare("shell", "bare", "bash", "-c", "id -u; echo $PATH; exit 7")
    assert (done.status, done.stdout.splitlines()) == (
        7,
        ["0", "/opt/bin:/.osloom/usr/sbin:/.osloom/usr/bin"],
    )


def test_the_image_is_there_as_it_is_but_for_one_directory(bare: Workshop) -> None:
    done = bare("shell", "bare", "bash", "-c", "echo /* /usr/bin/*").check()
    root = _root(bare)
    own = {f"/{one.name}" for one in root.iterdir()}
    own |= {f"/usr/bin/{one.name}" for one in (root / "usr/bin").iterdir()}
    # bash does not match names that start with a dot.
    assert set(done.stdout.split()) == own


def test_programs_of_the_image_come_first_and_keep_their_libraries(bare: Workshop) -> None:
    script = 'type ls; while read line; do case $line in *libc.so*) echo "${line##* }";; esac; done'
    done = bare("shell", "old", "bash", "-c", f"{script} <<<$(/bin/cat /proc/self/maps)").check()
    first, *maps = done.stdout.splitlines()
    assert first == "ls is /usr/bin/ls"
    assert {Path(one).parts[1] for one in maps} == {"usr"}


def test_without_a_command_it_reads_what_is_typed(bare: Workshop) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "osloom", "shell", "--user", "1234", "bare"],
        cwd=bare.directory,
        env=environment(OSLOOM_STORE=str(bare.store)),
        input="id -u\nexit 5\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "1234\n")


def test_options_go_before_the_image(bare: Workshop) -> None:
    done = bare("shell", "bare", "--user", "0")
    assert done.status == 2
    assert done.stderr.splitlines() == [
        "error: cannot run `--user`: what follows the image is the command",
        "hint: options go before the image: `osloom shell --user … bare`",
    ]


def test_an_image_that_is_no_container_has_no_shell(bare: Workshop) -> None:
    done = bare("shell", "archive")
    assert done.status == 2
    assert done.stderr.splitlines()[0] == (
        "error: cannot open a shell in `archive`: it has no output `oci`"
    )


def _root(bare: Workshop) -> Path:
    """The image unpacked."""
    place = bare.directory / "root"
    with tarfile.open(bare.directory / "dist/bare/bare.tar") as archive:
        archive.extractall(place, filter="tar")
    return place
