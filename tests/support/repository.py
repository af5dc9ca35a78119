"""A real signed package repository, served over local HTTP by a server that can misbehave."""

import datetime as dt
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pysequoia

from support.deb import Deb

Behaviour = Callable[[http.server.BaseHTTPRequestHandler, bytes], bool]
"""Answers a request in its own way, and says whether it did."""


@dataclass
class Repository:
    """Packages of one suite, `stable`, component `main`, architecture amd64."""

    debs: list[Deb]
    date: dt.datetime = field(default_factory=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    valid_until: dt.datetime | None = None
    key: Any = field(default_factory=lambda: pysequoia.Tsk.generate("test <test@example.com>"))
    overrides: dict[str, bytes] = field(default_factory=dict)
    """Paths served with other bytes than they should have."""

    @property
    def keyring(self) -> bytes:
        return bytes(self.key.extract_certificate().__bytes__())

    def files(self) -> dict[str, bytes]:
        """Every path of the archive."""
        files: dict[str, bytes] = {}
        stanzas = []
        for deb in self.debs:
            data = deb.build()
            path = f"pool/{deb.name}_{deb.version}_{deb.architecture}.deb"
            files[path] = data
            stanzas.append(
                deb.control
                + f"Filename: {path}\nSize: {len(data)}\n"
                + f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
            )
        index = "\n".join(stanzas).encode()
        files["dists/stable/main/binary-amd64/Packages"] = index
        files["dists/stable/InRelease"] = self._release(index)
        return files | self.overrides

    def _release(self, index: bytes) -> bytes:
        form = "%a, %d %b %Y %H:%M:%S UTC"
        lines = ["Suite: stable", "Codename: stable", f"Date: {self.date.strftime(form)}"]
        if self.valid_until is not None:
            lines.append(f"Valid-Until: {self.valid_until.strftime(form)}")
        digest = hashlib.sha256(index).hexdigest()
        lines += ["SHA256:", f" {digest} {len(index)} main/binary-amd64/Packages", ""]
        return bytes(
            pysequoia.sign(
                self.key.signer(),
                "\n".join(lines).encode(),
                mode=pysequoia.SignatureMode.CLEAR,
            )
        )


@contextmanager
def serving(repository: Repository, behaviour: Behaviour | None = None) -> Iterator[str]:
    """The base address of a server for the repository, for as long as the block lasts."""
    files = repository.files()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path.lstrip("/"))
            if data is None:
                self.send_error(404)
                return
            if behaviour is not None and behaviour(self, data):
                return
            start = 0
            wanted = self.headers.get("Range")
            if wanted:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                self.send_response(206)
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:])

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
