"""`osloom serve`, asked by curl."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from osloom.engine.tools import start_from
from osloom.run.http_handler import Served
from osloom.run.serve import serving
from support.certificates import Authority, make_authority
from support.cli import environment, osloom
from support.programs import Programs

_SIZE = 20 << 20


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("web-programs"), store, "curl", "openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Authority:
    return make_authority(programs, tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a channel looks like, and what must not be seen of it."""
    above = tmp_path_factory.mktemp("site")
    (above / "secret").write_text("secret")
    root = above / "channel"
    (root / "gateway").mkdir(parents=True)
    # Every part is another: a range from the wrong place shows.
    block = b"".join(number.to_bytes(8, "big") for number in range(_SIZE // 8))
    (root / "gateway/gateway_1.root").write_bytes(block)
    (root / "gateway/SHA256SUMS").write_text("sums\n")
    (root / "gateway/a&b c%").write_text("odd\n")
    (root / "gateway/.hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git/config").write_text("hidden")
    (root / "out").symlink_to("../secret")
    (root / "out-directory").symlink_to("..")
    (root / "in").symlink_to("gateway/SHA256SUMS")
    os.mkfifo(root / "pipe")
    return root


@dataclass
class Curl:
    programs: Programs

    def status(self, *arguments: str | Path) -> list[str]:
        """The status of each answer, and bytes of its body."""
        form = "%{http_code} %{size_download}\\n"
        return self.programs(
            "usr/bin/curl", "-sS", "-o", "/dev/null", "-w", form, *arguments
        ).splitlines()

    def __call__(self, *arguments: str | Path) -> str:
        return self.programs("usr/bin/curl", "-sS", *arguments)

    def fails(self, *arguments: str | Path) -> int:
        argv = [*start_from(self.programs.root, "usr/bin/curl"), "-sS", *arguments]
        return subprocess.run(argv, capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def curl(programs: Programs) -> Curl:
    return Curl(programs)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_and_their_parts(site: Path, curl: Curl, tmp_path: Path) -> None:
    whole = site / "gateway/gateway_1.root"
    made = tmp_path / "made"
    with serving(site) as server:
        url = f"{server.url}gateway/gateway_1.root"
        curl(url, "-o", made)
        assert digest(made) == digest(whole)
        # Resumed from where it was cut off.
        os.truncate(made, 12_345_677)
        curl("-C", "-", "-o", made, url)
        assert digest(made) == digest(whole)
        part = tmp_path / "part"
        curl("-r", "1000-1999", "-o", part, url)
        assert part.read_bytes() == whole.read_bytes()[1000:2000]
        curl("-r", "-10", "-o", part, url)
        assert part.read_bytes() == whole.read_bytes()[-10:]
        assert curl.status("-r", f"{_SIZE}-", url)[0].split()[0] == "416"
        headers = curl("-I", "-r", "0-3", url).splitlines()
        assert headers[0] == "HTTP/1.1 200 OK"
        assert f"Content-Length: {_SIZE}" in headers
        assert curl(f"{server.url}gateway/a%26b%20c%25?query") == "odd\n"
        assert curl(f"{server.url}in") == "sums\n"


def test_what_has_not_changed_is_not_sent_again(site: Path, curl: Curl, tmp_path: Path) -> None:
    with serving(site) as server:
        url = f"{server.url}gateway/SHA256SUMS"
        tag, made = tmp_path / "tag", tmp_path / "made"
        keep = ("--etag-save", tag, "--etag-compare", tag, "-o", made)
        assert curl("-w", "%{http_code}", *keep, url) == "200"
        assert curl("-w", "%{http_code}", *keep, url) == "304"
        assert made.read_text() == "sums\n"
        # A part of one version is not put behind a part of another.
        same = ("-H", f"If-Range: {tag.read_text().strip()}", "-r", "2-")
        assert curl(*same, url) == "ms\n"
        assert curl("-H", 'If-Range: "other"', "-r", "2-", url) == "sums\n"


def test_nothing_leaves_the_directory(site: Path, curl: Curl) -> None:
    with serving(site) as server:
        for path in (
            "../secret",
            "%2e%2e/secret",
            "..%2fsecret",
            "gateway/../../secret",
            "out",
            "out-directory/secret",
            "out-directory/",
            "gateway/.hidden",
            ".git/config",
            "gateway/SHA256SUMS/",
            "gateway/x%00y",
            "pipe",
            "absent",
        ):
            (said,) = curl.status("--path-as-is", server.url + path)
            assert said.split()[0] == "404", path
        page = curl(f"{server.url}gateway/")
        assert "gateway_1.root" in page
        assert 'href="./a%26b%20c%25">a&amp;b c%<' in page
        assert "hidden" not in page
        assert ".git" not in curl(server.url)
        assert curl("-L", f"{server.url}gateway") == page
        assert curl.status("-X", "PUT", "-d", "x", f"{server.url}gateway/new") == ["405 37"]
        assert not (site / "gateway/new").exists()


def test_a_connection_is_used_again_and_clients_do_not_wait(site: Path, curl: Curl) -> None:
    waiting, go = threading.Event(), threading.Event()

    def pace(path: str, _: int) -> None:
        if path.endswith(".root"):
            waiting.set()
            go.wait(60)

    with serving(site, pace=pace) as server, ThreadPoolExecutor() as pool:
        url = f"{server.url}gateway/SHA256SUMS"
        slow = pool.submit(curl.status, f"{server.url}gateway/gateway_1.root")
        assert waiting.wait(60)
        connections = curl("-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}", url, url)
        assert connections == "10"
        with socket.create_connection(("127.0.0.1", server.port)):
            # One that says nothing stops nobody.
            assert curl(url) == "sums\n"
        go.set()
        assert slow.result() == [f"200 {_SIZE}"]


def test_a_connection_that_is_cut(site: Path, curl: Curl, tmp_path: Path) -> None:
    said: list[Served] = []
    cut = True

    def pace(_: str, offset: int) -> None:
        if cut and offset >= 1 << 20:
            raise ConnectionError

    made = tmp_path / "made"
    with serving(site, pace=pace, log=said.append) as server:
        url = f"{server.url}gateway/gateway_1.root"
        assert curl.fails("-o", made, url) == 18  # curl(1): a partial file
        cut = False
        curl("-C", "-", "-o", made, url)
    assert digest(made) == digest(site / "gateway/gateway_1.root")
    assert [(one.status, one.sent, one.cut) for one in said] == [
        (200, 1 << 20, True),
        (206, _SIZE - (1 << 20), False),
    ]


def test_tls(site: Path, curl: Curl, authority: Authority, tmp_path: Path) -> None:
    made = tmp_path / "made"
    pair = {"certificate": authority.server_certificate, "key": authority.server_key}
    with serving(site, **pair) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trust = ("--cacert", authority.certificate)
        curl(*trust, "-o", made, f"{server.url}gateway/gateway_1.root")
        assert digest(made) == digest(site / "gateway/gateway_1.root")
        assert curl(*trust, "-r", "1-2", f"{server.url}in") == "um"
        assert curl.fails(f"{server.url}in") == 60  # curl(1): no known authority
        assert curl.fails(server.url.replace("https", "http")) in (52, 56)
        # One that does not speak stops nobody.
        with socket.create_connection(("127.0.0.1", server.port)):
            assert curl(*trust, f"{server.url}in") == "sums\n"


@contextmanager
def started(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "osloom", "serve", *arguments],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command(site: Path, curl: Curl, tmp_path: Path) -> None:
    with started(tmp_path, str(site), "--port", "0", "--json") as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["url"] == f"http://127.0.0.1:{said['port']}/"
        assert curl(f"{said['url']}in") == "sums\n"
        with socket.create_connection(("127.0.0.1", said["port"])) as raw:
            raw.sendall(b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert raw.recv(1000).startswith(b"HTTP/1.1 404 ")
        taken = osloom(tmp_path, "serve", str(site), "--port", str(said["port"]))
        assert (taken.status, taken.stderr) == (
            1,
            (
                f"error: cannot listen on 127.0.0.1:{said['port']}: something else listens there\n"
                "hint: choose another with `--port`, or `--port 0` for any that is free\n"
            ),
        )
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
        first, second = log.splitlines()
        assert first == "127.0.0.1  GET  /in  200  5 B"
        assert second == "127.0.0.1  GET  /?[2J  404  22 B"


def test_it_serves_the_channel_of_the_definition(site: Path, tmp_path: Path, curl: Curl) -> None:
    definition = tmp_path / "osloom.toml"
    definition.write_text(f'[image.a]\n[release]\nto = "{site}"\n')
    with started(tmp_path, "--port", "0") as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:3] == ["serving", str(site), "at"]
        assert curl(f"{words[3].rstrip(';')}in") == "sums\n"
    definition.write_text('[image.a]\n[release]\nto = "s3://bucket"\n')
    refused = osloom(tmp_path, "serve")
    assert (refused.status, refused.stderr) == (
        2,
        (
            "error: cannot tell what to serve: the definition's channel is no directory\n"
            "hint: name a directory: `osloom serve DIRECTORY`\n"
        ),
    )


def test_what_cannot_be_served(site: Path, authority: Authority, tmp_path: Path) -> None:
    absent = osloom(tmp_path, "serve", "absent")
    assert (absent.status, absent.stderr) == (
        1,
        "error: cannot serve absent: it is no directory\n",
    )
    foreign = osloom(tmp_path, "serve", str(site), "--address", "192.0.2.1")
    assert (foreign.status, foreign.stderr) == (
        1,
        (
            "error: cannot listen on 192.0.2.1:8080: no network of this machine has it\n"
            "hint: `--address 0.0.0.0` is all of them\n"
        ),
    )
    key = osloom(tmp_path, "serve", str(site), "--tls-key", "key")
    assert (key.status, key.stderr) == (
        2,
        ("error: cannot speak TLS with a key alone\nhint: add `--tls-certificate FILE`\n"),
    )
    pair = ("--tls-certificate", str(authority.certificate), "--tls-key", str(authority.server_key))
    other = osloom(tmp_path, "serve", str(site), *pair)
    assert other.status == 1
    assert other.stderr == (
        f"error: cannot use the certificate {authority.certificate} with the key"
        f" {authority.server_key}: KEY_VALUES_MISMATCH\n"
        "hint: both are PEM files, the key belongs to the certificate and has no passphrase\n"
    )
