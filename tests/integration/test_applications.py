"""Applications, built and run: what three lines give, services, and variants for debugging."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.cli import environment

_DEFINITION = """
[image.api]
packages = ["python3"]
outputs = ["oci"]

[image.home]
from = "api"
outputs = ["oci"]
keep = ["man"]
[image.home.oci]
home = "/home/app"

[image.web]
packages = ["nginx"]
service = "nginx"
outputs = ["oci"]
files = { "/var/www/html/index.html" = { text = "hello" } }
[image.web.oci]
ports = [80]

[image.store]
packages = ["redis-server", "dash", "libc-bin"]
service = "redis"
outputs = ["oci"]
locale = "C.UTF-8"
remove = ["/bin/redis-benchmark"]
[image.store.files]
"/run/own/file" = { text = "kept", owner = "www-data", group = "adm" }
"/var/tmp/seed" = { text = "kept" }
[image.store.oci]
user = "redis"
[[image.store.test]]
file = "/run/redis"
owner = "redis:redis"
[[image.store.test]]
file = "/var/run/own/file"
owner = "33:4"
[[image.store.test]]
file = "/var/tmp/seed"
[[image.store.test]]
file = "/usr/bin/redis-benchmark"
absent = true
[[image.store.test]]
run = "test $LANG = C.UTF-8"

[image.configured]
packages = ["redis-server"]
service = "redis-server"
configure = "dpkg"
outputs = ["oci"]
files = { "/run/own" = { directory = true }, "/" = "root-of-it" }
[[image.configured.test]]
file = "/var/tmp/of-the-root"
[[image.configured.test]]
file = "/run/redis"
owner = "redis:redis"
[[image.configured.test]]
file = "/run/own"
[[image.configured.test]]
file = "/run/adduser"
absent = true

[image.database]                  # its script makes a user with a home, where it keeps its data
packages = ["etcd-server"]
service = "etcd"
outputs = ["oci"]
[[image.database.test]]
http = "http://localhost:2379/health"
contains = "true"

[image.own]
packages = ["busybox-static"]
service = "own"
outputs = ["oci"]
oci.env = { WHAT = "said" }
[image.own.files]
"/etc/systemd/system/own.service" = { text = "[Service]\\nExecStart=/usr/bin/busybox echo $WHAT $MORE\\n" }
"/etc/systemd/system/own.service.d" = "drop-ins"

[image.failing]
packages = ["busybox-static"]
outputs = ["oci"]
[image.failing.oci]
entrypoint = ["/usr/bin/busybox", "sh", "-c", "echo broken; exit 1"]
debug = true
"""
_LOOK = """
import json, os, pwd, grp, ssl, socket, stat, zoneinfo
context = ssl.create_default_context()
print(json.dumps({
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "group": grp.getgrgid(os.getgid()).gr_name,
    "ids": [os.getuid(), os.getgid()],
    "tmp": oct(os.stat("/tmp").st_mode),
    "certificates": len(context.get_ca_certs()),
    "zone": str(zoneinfo.ZoneInfo("Europe/Vienna")),
    "release": "IMAGE_ID=" in open("/etc/os-release").read(),
    "resolved": socket.gethostbyname("localhost"),
    "home": os.path.expanduser("~"),
    "shell": os.path.exists("/bin/sh") or os.path.exists("/usr/bin/dpkg"),
    "licences": os.path.exists("/usr/share/doc/python3/copyright"),
    "manual": os.path.exists("/usr/share/man/man1/python3.1.gz"),
}))
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("applications"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    (workshop.directory / "drop-ins").mkdir()
    (workshop.directory / "root-of-it/var/tmp").mkdir(parents=True)
    (workshop.directory / "root-of-it/var/tmp/of-the-root").write_text("kept")
    text = "[Service]\nEnvironment=MORE=and-more WHAT=other\n"
    (workshop.directory / "drop-ins/more.conf").write_text(text)
    return workshop


@pytest.fixture(scope="module")
def notes(workshop: Workshop) -> str:
    """What the build says."""
    done = workshop("build", "--json")
    done.check()
    return done.stdout


def look(workshop: Workshop, image: str) -> dict[str, object]:
    done = workshop("run", image, "--", "-c", _LOOK)
    done.check()
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("notes")
def test_three_lines_give_an_image_that_a_program_can_live_in(workshop: Workshop) -> None:
    found = look(workshop, "api")
    certificates = found.pop("certificates")
    assert isinstance(certificates, int)
    assert certificates > 100
    assert found == {
        "user": "nonroot",
        "group": "nonroot",
        "ids": [65532, 65532],
        "tmp": "0o41777",
        "zone": "Europe/Vienna",
        "release": True,
        "resolved": "127.0.0.1",
        "home": "/nonexistent",
        "shell": False,
        "licences": True,
        "manual": False,
    }


@pytest.mark.usefixtures("notes")
def test_what_is_left_out_can_be_had_back_and_a_home_be_asked_for(workshop: Workshop) -> None:
    found = look(workshop, "home")
    assert (found["manual"], found["home"]) == (True, "/home/app")
    touch = "import os; open(os.path.expanduser('~/x'), 'w')"
    workshop("run", "home", "--", "-c", touch).check()


@contextlib.contextmanager
def running(workshop: Workshop, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "osloom", "run", *arguments],
        cwd=workshop.directory,
        env=environment(OSLOOM_STORE=str(workshop.store)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def asked(port: int, *, say: bytes | None = None) -> bytes:
    """What a server on this machine answers, once it does."""
    for _ in range(300):
        try:
            if say is None:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    data: bytes = answer.read()
                    return data
            with socket.create_connection(("127.0.0.1", port), timeout=5) as server:
                server.sendall(say)
                if data := server.recv(100):
                    return data
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server never answered")


@pytest.mark.usefixtures("notes")
def test_a_service_serves_as_its_unit_says_it_starts(workshop: Workshop) -> None:
    port = free_port()
    with running(workshop, "-p", f"{port}:80", "web"):
        assert asked(port) == b"hello"
    port = free_port()
    # Its own configuration listens on a loopback only.
    with running(
        workshop, "-p", f"{port}:6379", "store", "--", "--bind", "0.0.0.0", "--protected-mode", "no"
    ):
        assert asked(port, say=b"PING\r\n") == b"+PONG\r\n"


@pytest.mark.usefixtures("notes")
def test_what_a_service_and_the_definition_put_below_run_is_there(workshop: Workshop) -> None:
    done = workshop("test", "--json", "store", "configured", "database")
    assert {
        (one["name"], one["verdict"]) for one in done.json if one["verdict"] != "passed"
    } == set()
    assert len(done.json) > 8


@pytest.mark.usefixtures("notes")
def test_a_unit_and_a_drop_in_of_the_definition_are_read(workshop: Workshop) -> None:
    assert workshop("run", "own").check().stdout == "said and-more\n"


def test_what_could_not_be_carried_over_is_said(notes: str) -> None:
    said = {one["image"]: one["notes"] for one in json.loads(notes)}
    assert any("the unit names no user" in one for one in said["web"])
    # Both are in the definition.
    assert not any("names no user" in one for one in said["store"])
    assert not any("states no port" in one for one in said["web"])
    assert said["api"] == []
    assert [one for one in said["database"] if "`%H` in `ETCD_NAME=%H`" in one]
    assert said["failing-debug"] == []


@pytest.mark.usefixtures("notes")
def test_a_variant_for_debugging_stays_though_its_program_fails(workshop: Workshop) -> None:
    assert workshop("run", "failing").status == 1
    with running(workshop, "failing-debug") as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("debug:"):
                break
        assert said[-2:] == [
            "broken",
            "debug: the program ended with status 1; the container stays",
        ]
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 1
    tools = workshop(
        "run", "--entrypoint", "/usr/bin/bash", "failing-debug", "--", "-c", "type curl strace ps"
    )
    tools.check()
    layouts = [layers(workshop, name) for name in ("failing", "failing-debug")]
    assert layouts[1][:-1] == layouts[0]


def layers(workshop: Workshop, name: str) -> list[str]:
    layout = workshop.directory / f"dist/{name}/{name}.oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    return [one["digest"] for one in manifest["layers"]]


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            'entrypoint = ["/usr/bin/busyboxx"]',
            "cannot find the entrypoint `/usr/bin/busyboxx` in the image",
            "did you mean `/usr/bin/busybox`?",
        ),
        (
            'user = "nonrot"',
            "cannot run as `nonrot`: the image has no such user",
            "did you mean `nonroot`?",
        ),
    ],
)
def test_what_the_image_does_not_hold_is_named(
    tmp_path: Path, store: Path, settings: str, message: str, hint: str
) -> None:
    workshop = Workshop(tmp_path, store)
    (tmp_path / "osloom.toml").write_text(
        f'[image.a]\npackages = ["busybox-static"]\noutputs = ["oci"]\n[image.a.oci]\n{settings}\n'
    )
    done = workshop("build")
    assert done.status == 1
    assert f"error: {message}\nhint: {hint}\n" in done.stderr
    assert not (tmp_path / "dist/a/a.oci/index.json").exists()


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            'packages = ["redis-server"]\nservice = "redis"\noci.user = "redsi"',
            "cannot run as `redsi`: the image has no such user",
            "did you mean `redis`?",
        ),
        (
            (
                'packages = ["busybox-static"]\nservice = "own"\nfiles = { "/etc/systemd/system/own.'
                'service" = { text = "[Service]\\nExecStart=/bin/sh -c \'mkdir /x; true\'\\n" } }'
            ),
            "cannot find the entrypoint `/bin/sh` in the image",
            "add the package `dash`",
        ),
        (
            'packages = ["dash"]\nlocale = "C.UTF-8"',
            "cannot set the locale `C.UTF-8`: the image does not have it",
            "add the package `libc-bin`",
        ),
    ],
)
def test_what_its_packages_do_not_have_is_named(
    tmp_path: Path, store: Path, settings: str, message: str, hint: str
) -> None:
    workshop = Workshop(tmp_path, store)
    (tmp_path / "osloom.toml").write_text(f'[image.a]\noutputs = ["oci"]\n{settings}\n')
    said = workshop("build").stderr
    assert f"error: {message}\nhint: {hint}\n" in said
    # What else is amiss is told with it.
    assert ("add `coreutils`" in said) == ("mkdir" in settings)
