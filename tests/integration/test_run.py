"""Containers that a person runs: streams, status, signals, terminal, user."""

import http.client
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import Workshop
from osloom.run import network
from support.cli import environment
from support.terminal import Terminal

DEFINITION = """
[image.small]
packages = ["dash", "coreutils", "perl-base"]
configure = "none"
outputs = ["oci", "tar"]

[image.small.files]
"/etc/passwd" = { text = "root:x:0:0::/root:/bin/sh\\napp:x:1234:1235::/srv:/bin/sh\\n" }
"/etc/group" = { text = "root:x:0:\\napp:x:1235:\\nmore:x:1300:app\\n" }
"/srv" = { directory = true, owner = "1234", group = "1235" }

[image.small.oci]
entrypoint = ["/bin/sh", "-c"]
command = ["echo $GREETING; id -un; id -Gn; pwd; echo $HOME"]
env = { GREETING = "good day" }
user = "app"
working-directory = "/usr"

[image.server]
packages = ["python3-minimal", "libpython3-stdlib"]
configure = "none"
outputs = ["oci"]

[image.server.files]
"/app.py" = { text = '''
import http.server
import os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"served by {os.getuid()} on {os.uname().nodename}".encode())

http.server.HTTPServer(("", 80), Handler).serve_forever()
''' }

[image.server.oci]
entrypoint = ["/usr/bin/python3", "/app.py"]
user = "1234"
ports = [80]

[image.ending]
packages = ["dash"]
configure = "none"
outputs = ["oci"]

[image.ending.oci]
entrypoint = ["/bin/sh", "-c"]
debug = true

[image.nobody]
from = "small"
outputs = ["oci"]

[image.closed]
from = "small"
outputs = ["oci"]

[image.closed.files]
"/srv/data" = { directory = true, owner = "1234" }

[image.closed.oci]
volumes = ["/srv/data"]

[image.nobody.oci]
user = "65534:65534"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("run"), store)
    (workshop.directory / "osloom.toml").write_text(DEFINITION)
    workshop("lock").check()
    workshop("build").check()
    return workshop


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "osloom", "run", "small", "--", *arguments]


@pytest.fixture
def start(small: Workshop) -> Iterator["Start"]:
    started = Start(small)
    yield started
    for process in started.processes:
        process.kill()
        process.wait()


class Start:
    """Runs the container in the background; with what it says, line by line."""

    def __init__(self, small: Workshop) -> None:
        self._small = small
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, script: str) -> "subprocess.Popen[str]":
        return self.osloom("run", "small", "--", script)

    def osloom(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "osloom", *arguments],
            cwd=self._small.directory,
            env=environment(OSLOOM_STORE=str(self._small.store)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answer_of(port: int) -> str:
    """What the server says, when it does."""
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        finally:
            connection.close()


def test_the_definition_says_command_environment_user_and_directory(small: Workshop) -> None:
    done = small("run", "small").check()
    assert done.stdout.splitlines() == ["good day", "app", "app more", "/usr", "/srv"]


def test_arguments_replace_the_command_and_its_status_is_the_status(small: Workshop) -> None:
    script = 'echo "$0 $1"; exit 7'
    done = small("run", "small", "--progress", "plain", "--", script, "a b", "--json")
    assert (done.status, done.stdout) == (7, "a b --json\n")


def test_what_cannot_be_found_is_127(small: Workshop) -> None:
    assert small("run", "small", "--", "no-such-program").status == 127


def test_a_user_without_a_name_is_that_user_and_has_no_capability(small: Workshop) -> None:
    script = "id -u; id -g; id -G; while read a b; do echo $a $b; done </proc/self/status"
    lines = small("run", "nobody", "--", script).check().stdout.splitlines()
    assert lines[:3] == ["65534", "65534", "65534"]
    status = dict(line.split(": ", 1) for line in lines[3:] if ": " in line)
    assert {status[name] for name in ("CapEff", "CapPrm", "CapAmb")} == {"0" * 16}
    # From 32 on they are libc's own, and those of whoever started this test.
    assert int(status["SigIgn"], 16) & 0x7FFFFFFF == int(status["SigBlk"], 16) == 0


def test_what_it_writes_is_its_own_and_is_forgotten(small: Workshop) -> None:
    script = "echo $$ >>/srv/log; echo hello >/tmp/log; cat /srv/log | wc -l"
    for _ in range(2):
        assert small("run", "small", "--", script).check().stdout == "1\n"


def test_it_reads_standard_input_to_its_end(start: Start) -> None:
    process = start("cat; echo end")
    said, _ = process.communicate("one\ntwo\n", timeout=60)
    assert (process.returncode, said) == (0, "one\ntwo\nend\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_program_which_decides(start: Start, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    process = start(f"trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.1; done")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "caught\n"
    assert process.wait(timeout=30) == 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_a_signal_ends_says_which(start: Start, number: signal.Signals) -> None:
    process = start("echo ready; exec sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number


def test_no_process_outlives_a_killed_run(start: Start) -> None:
    process = start("echo ready; exec sleep 98765")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    # The pipe ends when the last process that has it is gone.
    assert process.stdout.read() == ""


def test_a_port_leads_into_a_network_of_its_own(small: Workshop, start: Start) -> None:
    if network.problem() is not None:
        pytest.skip("this host gives no container a network of its own")
    port = free_port()
    start.osloom("run", "server", "--port", f"{port}:80", "--progress", "plain")
    assert answer_of(port) == "served by 1234 on server"
    # Of the ports that the image names none is open but those that were asked for.
    assert small("run", "server", "--port", f"{port}:80").status == 2
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 80)).close()


def test_a_user_with_one_id_runs_it_as_root_and_is_told(small: Workshop) -> None:
    alone = (
        "import os, sys; from osloom.engine.identity import enter; enter('single');"
        "os.execv(sys.executable, [sys.executable, '-m', 'osloom', *sys.argv[1:]])"
    )
    script = "id -u; cat /proc/net/dev; exit 6"
    done = subprocess.run(
        [sys.executable, "-c", alone, "run", "small", "--", script],
        cwd=small.directory,
        env=environment(OSLOOM_STORE=str(small.store)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (6, "0"), done.stderr
    assert "the program runs as root of a namespace, not as `app`" in done.stderr
    if network.problem() is None:
        devices = [line.partition(":")[0].strip() for line in done.stdout.splitlines()[3:]]
        assert len(devices) == 2


def test_without_a_network_there_is_a_loopback(small: Workshop) -> None:
    script = "while read a b; do echo $a; done </proc/net/dev"
    lines = small("run", "small", "--network", "none", "--", script).check().stdout.splitlines()
    assert lines[2:] == ["lo:"]


def test_a_volume_is_kept_and_belongs_to_the_host(small: Workshop, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given\n")
    options = ["--volume", f"{tmp_path}:/data", "--user", "0"]
    done = small("run", "small", *options, "--", "cat /data/in; echo kept >/data/out").check()
    assert done.stdout == "given\n"
    assert (tmp_path / "out").read_text() == "kept\n"
    closed = ["--volume", f"{tmp_path}:/data:ro", "--user", "0"]
    assert small("run", "small", *closed, "--", "echo more >/data/out").status != 0
    assert (tmp_path / "out").read_text() == "kept\n"


def test_a_read_only_root_leaves_temporary_files_and_volumes(small: Workshop) -> None:
    script = """
    for place in /tmp /srv/data /srv / /usr /etc; do
        (: >$place/file) 2>/dev/null && echo $place
    done
    true
    """
    done = small("run", "closed", "--read-only", "--", script).check()
    assert done.stdout.split() == ["/tmp", "/srv/data"]


def test_variables_entrypoint_and_user_of_the_command_line_win(small: Workshop) -> None:
    options = ["--env", "GREETING=hello", "--env", "PASSED", "--env", "LACKING", "--user", "1:2"]
    options += ["--entrypoint", "/usr/bin/env"]
    done = small("run", "small", *options, PASSED="on").check()
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert (found["GREETING"], found["PASSED"], "LACKING" in found) == ("hello", "on", False)
    script = ["--entrypoint", "/usr/bin/id", "--user", "1:2", "--", "-u"]
    assert small("run", "small", *script).check().stdout == "1\n"


def test_a_debug_variant_has_its_tools_and_stays(start: Start) -> None:
    process = start.osloom("run", "ending-debug", "--progress", "plain", "--", "echo begun; exit 3")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    process.terminate()
    assert process.wait(timeout=30) == 3


def test_a_port_needs_a_network(small: Workshop) -> None:
    done = small("run", "small", "--network", "none", "-p", "8080")
    assert done.stderr.splitlines()[0] == "error: cannot map ports with `--network none`"


def run_in(terminal: Terminal, script: str) -> None:
    terminal.type(shlex.join(words(script)) + "\r")


@pytest.fixture
def terminal(small: Workshop) -> Iterator[Terminal]:
    terminal = Terminal(small.directory, small.store)
    yield terminal
    terminal.close()


def test_it_has_the_terminal_and_what_is_typed(terminal: Terminal) -> None:
    run_in(terminal, 'test -t 0 && test -t 1 && read line && echo "<$line $TERM>"; exit 4')
    terminal.type("typed\r")
    terminal.wait_for("<typed vt100>")
    terminal.wait_for("shell> ")
    terminal.type("echo status=$?\r")
    terminal.wait_for("status=4")


def test_it_cannot_type_on_the_terminal(terminal: Terminal) -> None:
    run_in(terminal, "perl -e '$x = q(x); ioctl(STDIN, 0x5412, $x) or print qq(<@{[$! + 0]}>)'")
    terminal.wait_for("<1>")


def test_ctrl_c_is_for_the_program(terminal: Terminal) -> None:
    run_in(terminal, 'trap "echo cau""ght; exit 9" INT; echo rea"dy"; while :; do sleep 0.1; done')
    terminal.wait_for("ready")
    terminal.type("\x03")
    terminal.wait_for("caught")
    terminal.wait_for("shell> ")
    terminal.type("echo status=$?\r")
    terminal.wait_for("status=9")


def test_ctrl_z_stops_nothing_that_no_one_could_continue(terminal: Terminal) -> None:
    run_in(terminal, 'echo rea"dy"; read line; echo "<$line>"')
    terminal.wait_for("ready")
    terminal.type("\x1a")
    terminal.type("typed\r")
    terminal.wait_for("<typed>")


def test_it_knows_the_size_of_the_terminal_and_hears_of_another(terminal: Terminal) -> None:
    terminal.resize(rows=22, columns=66)
    run_in(terminal, 'stty size; trap "stty size" WINCH; echo rea"dy"; while :; do sleep 0.1; done')
    terminal.wait_for("22 66")
    terminal.wait_for("ready")
    terminal.resize(rows=33, columns=77)
    terminal.wait_for("33 77")
    terminal.type("\x03")
    terminal.wait_for("shell> ")


@pytest.mark.long
def test_an_nspawn_archive_has_its_console_here_and_ends_with_itself(
    tmp_path: Path, store: Path
) -> None:
    (tmp_path / "osloom.toml").write_text("""
[image.machine]
packages = ["systemd-sysv"]
outputs = ["nspawn"]

[image.machine.files]
"/etc/systemd/system/bye.service" = { text = '''
[Unit]
SuccessAction=poweroff
[Service]
Type=oneshot
ExecStart=sh -c 'systemd-detect-virt >/dev/console'
[Install]
WantedBy=multi-user.target
''' }

[image.machine.systemd]
enable = ["bye"]
""")
    made = Workshop(tmp_path, store)
    made("lock").check()
    done = made("run", "machine").check()
    assert "systemd-nspawn" in done.stdout.replace("\r", "").split("\n")
    assert "Power down" in done.stdout
