"""Scripts that fail, builds that are killed, two builds at once, stores that cannot be written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from integration.conftest import Workshop
from support.cli import environment, osloom
from support.deb import Deb
from support.repository import Repository, serving

SMALL = """
[image.small]
packages = ["busybox-static"]
configure = "none"
outputs = ["tar"]
"""


def project(directory: Path, text: str, store: Path) -> Workshop:
    directory.mkdir(exist_ok=True)
    (directory / "osloom.toml").write_text(text)
    return Workshop(directory, store)


def test_a_maintainer_script_that_fails_is_shown_with_its_line(tmp_path: Path, store: Path) -> None:
    script = "#!/bin/sh\nset -e\necho about to fail\nfalse because\n"
    repository = Repository([Deb("broken", scripts={"postinst": script})])
    with serving(repository) as address:
        made = project(
            tmp_path,
            f"""
[image.bad]
packages = ["broken"]
outputs = ["tar"]
[[debian.repository]]
name = "local"
url = "{address}"
suite = "stable"
key = "key.pgp"
""",
            store,
        )
        (tmp_path / "key.pgp").write_bytes(repository.keyring)
        made("lock").check()
        done = made("build")
    assert done.status == 1
    assert "error: cannot configure `broken`: its postinst failed at line 4: `false because`" in (
        done.stderr
    )
    assert "about to fail" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_a_script_of_the_definition_that_fails_is_shown(tmp_path: Path, store: Path) -> None:
    made = project(
        tmp_path,
        """
[image.bad]
packages = ["dash", "coreutils"]
configure = "none"
outputs = ["tar"]
[[image.bad.script]]
name = "greet"
run = "echo hello; exit 3"
""",
        store,
    )
    made("lock").check()
    done = made("build")
    assert done.status == 1
    assert "error: cannot run script greet: it failed in the sandbox" in done.stderr
    assert "hello" in done.stderr


def test_what_runs_in_an_image_is_filtered_so_that_it_never_waits_for_a_disk(
    tmp_path: Path, store: Path
) -> None:
    made = project(
        tmp_path,
        """
[image.filtered]
packages = ["dash", "coreutils", "grep"]
configure = "none"
outputs = ["tar"]
[[image.filtered.script]]
run = "grep '^Seccomp:.*2$' /proc/self/status"
""",
        store,
    )
    made("lock").check()
    made("build").check()


def test_a_build_makes_the_first_lock_and_refuses_an_old_one(tmp_path: Path, store: Path) -> None:
    made = project(tmp_path, SMALL, store)
    assert made("outdated").stderr == "error: cannot find osloom.lock\nhint: run `osloom lock`\n"
    made("build").check()
    assert (tmp_path / "osloom.lock").exists()
    (tmp_path / "osloom.toml").write_text(SMALL.replace("busybox-static", "busybox"))
    assert made("build").stderr == (
        "error: the lock is older than the definition of `small`\nhint: run `osloom lock`\n"
    )


def test_a_lock_of_another_osloom_is_made_anew_when_asked(tmp_path: Path, store: Path) -> None:
    made = project(tmp_path, SMALL, store)
    (tmp_path / "osloom.lock").write_text('{"version": 1}')
    assert made("lock").stderr == (
        "error: cannot read osloom.lock: it is of version 1, this osloom knows version 2\n"
        "hint: use the osloom that wrote it, or run `osloom lock --upgrade`\n"
    )
    made("lock", "--upgrade").check()
    made("build").check()


def test_a_killed_build_loses_nothing_and_the_next_one_finishes(
    tmp_path: Path, example: Workshop
) -> None:
    store = tmp_path / "store"
    for delay in (0.3, 1.0, 2.0, 4.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "osloom", "build", "-o", str(tmp_path / "out")],
            cwd=example.directory,
            env=environment(OSLOOM_STORE=str(store)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    output = ("-o", str(tmp_path / "out"))
    done = osloom(example.directory, "build", "--json", *output, OSLOOM_STORE=str(store)).check()
    expected = example("build", "--json").check().json
    assert [one["digest"] for one in done.json] == [one["digest"] for one in expected]
    verified = osloom(example.directory, "cache", "verify", OSLOOM_STORE=str(store)).check()
    assert verified.stdout == "every blob is whole\n"


def test_two_builds_at_once_make_the_same(tmp_path: Path) -> None:
    (tmp_path / "osloom.toml").write_text(SMALL)
    shared = str(tmp_path / "store")
    osloom(tmp_path, "lock", OSLOOM_STORE=shared).check()
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "osloom", "build", "--json", "-o", str(tmp_path / name)],
            cwd=tmp_path,
            env=environment(OSLOOM_STORE=shared),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for name in ("one", "two")
    ]
    assert [process.wait() for process in running] == [0, 0]
    one, two = ((tmp_path / name / "small/small.tar").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "osloom.toml").write_text(SMALL)
    (tmp_path / "store").write_text("not a directory")
    done = osloom(tmp_path, "lock", OSLOOM_STORE=str(tmp_path / "store"))
    assert done.status == 1
    assert done.stderr.startswith(f"error: cannot use the store at {tmp_path / 'store'}: ")


_READ_ONLY = """
import sys
from pathlib import Path
from osloom.cli.main import main
from osloom.engine import identity, mounts
identity.enter("single")
identity.unshare(identity.CLONE_NEWNS)
mounts.make_private()
store, bind, remount, read_only = Path(sys.argv.pop()), 0x1000, 0x20, 1
mounts.mount(str(store), store, "none", bind)
mounts.mount(str(store), store, "none", bind | remount | read_only)
sys.exit(main())
"""


def test_a_store_on_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "osloom.toml").write_text(SMALL)
    store = tmp_path / "store"
    osloom(tmp_path, "lock", OSLOOM_STORE=str(store)).check()
    done = subprocess.run(
        [sys.executable, "-c", _READ_ONLY, "build", str(store)],
        cwd=tmp_path,
        env=environment(OSLOOM_STORE=str(store)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: cannot use the store at {store}: Read-only file system\n"
        "hint: set OSLOOM_STORE to a directory that can be written\n"
    )
    assert not (tmp_path / "dist").exists()


def test_an_interrupt_stops_at_once_and_the_next_run_continues(
    tmp_path: Path, example: Workshop
) -> None:
    interrupted = 0
    for delay in (0.5, 0.7, 1.0, 1.5, 2.0, 2.5):
        # A fast machine is done before the last of them: each run goes on from the one before.
        if not _interrupted(tmp_path, example, delay):
            break
        interrupted += 1
    assert interrupted >= 2


def _interrupted(tmp_path: Path, example: Workshop, delay: float) -> bool:
    """Whether the build still ran after ``delay`` seconds, and then stopped as it should."""
    process = subprocess.Popen(
        [sys.executable, "-m", "osloom", "build", "-o", str(tmp_path / "out")],
        cwd=example.directory,
        env=environment(OSLOOM_STORE=str(tmp_path / "store")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    if process.returncode == 0:
        return False
    assert process.returncode == 128 + signal.SIGINT
    assert said.splitlines()[-1] == "stopped; the next run continues where this one was"
    assert time.monotonic() - start < 10
    assert not _workers_of(tmp_path / "store")
    return True


def _workers_of(store: Path) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(store) in words and str(os.getpid()) not in place.parts:
            found.append(" ".join(words))
    return found
