"""Debian's docker-registry, started as asked for, with its log of requests."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from osloom.engine.tools import start_from
from support.programs import Programs


@dataclass(frozen=True)
class Server:
    """A registry that runs."""

    address: str
    """`127.0.0.1:PORT`."""
    data: Path
    _out: Path

    def requests(self) -> list[str]:
        """Every request since the start as `METHOD PATH STATUS`, in order."""
        found = re.findall(r'"(\w+) (\S+) HTTP/[\d.]+" (\d+)', self._out.read_text())
        return [" ".join(one) for one in found]

    def since(self, count: int, *, kind: str = "") -> list[str]:
        """The requests after the first `count`, with `kind` in their path."""
        return [one for one in self.requests()[count:] if kind in one.split()[1]]


@contextmanager
def running(
    root: Path, directory: Path, settings: Mapping[str, Any] | None = None
) -> Iterator[Server]:
    """docker-registry of the unpacked tree `root`; `settings` are laid over its configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}, "level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": "127.0.0.1:0", "secret": "of the test"},
    }
    for key, value in (settings or {}).items():
        config[key] = {**config.get(key, {}), **value}
    # JSON is YAML.
    (directory / "config.yml").write_bytes(msgspec.json.encode(config))
    out, err = directory / "out", directory / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*start_from(root, "usr/bin/docker-registry"), "serve", str(directory / "config.yml")],
            # REGISTRY_… in the environment would change the configuration.
            env={"PATH": os.defpath},
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield Server(_address(process, err), directory / "data", out)
    finally:
        process.kill()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", err: Path) -> str:
    for _ in range(600):
        found = re.search(r"listening on (\S+?)[\",]", err.read_text())
        if found:
            return found[1]
        assert process.poll() is None, err.read_text()
        time.sleep(0.05)
    raise AssertionError(err.read_text())


@dataclass(frozen=True)
class Shelf:
    """A registry, and the programs that fill and read it."""

    server: Server
    programs: Programs

    def push(self, layout: Path, name: str, *options: str) -> None:
        self.skopeo(
            "copy",
            *options,
            "--dest-tls-verify=false",
            f"oci:{layout}",
            f"docker://{self.server.address}/{name}",
        )

    def skopeo(self, *words: str) -> str:
        return self.programs("usr/bin/skopeo", "--insecure-policy", *words)

    def inspect(self, name: str) -> Any:
        words = ("inspect", "--raw", "--tls-verify=false")
        return json.loads(self.skopeo(*words, f"docker://{self.server.address}/{name}"))

    def umoci(self, *words: str | Path) -> None:
        self.programs("usr/bin/umoci", *words)
