"""A world with Nix in it: Debian's, a store, a closure without nixpkgs, and binary caches of it.

Nothing of Nix is on the host: bubblewrap gives Nix `DIRECTORY/nix` as its /nix, for root and for
users alike. Nix sees the directory that the world's directory lies in, at its own place: below a
temporary directory of pytest that is where all tests write.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from osloom.engine.tools import start_from
from support.programs import Programs

CLOSURE = Path(__file__).parent / "closure"
COMPRESSIONS = ("xz", "zstd", "none", "bzip2", "gzip")
_SETTINGS = """\
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry =
accept-flake-config = false
"""


@dataclass(frozen=True)
class Said:
    """What a program of Nix said."""

    status: int
    stdout: str
    stderr: str

    def check(self) -> "Said":
        assert self.status == 0, f"{self.stdout}\n{self.stderr}"
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class NixWorld:
    """Nix with a store below `directory`, with all packages of `closure/flake.nix` built there,
    signed by `key`, and copied into `cache("xz")` and the other compressions."""

    def __init__(self, directory: Path, store: Path) -> None:
        self.directory = directory
        (directory / "programs").mkdir(parents=True)
        packages = ("nix-bin", "busybox-static", "bubblewrap", "ca-certificates")
        self.programs = Programs(directory / "programs", store, *packages)
        for name in ("nix", "home", "caches", "etc"):
            (directory / name).mkdir()
        (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (directory / "etc/group").write_text("root:x:0:\n")
        self.flake = self.make_flake(directory / "flake")
        self.key, self.secret = self._make_key("test-1")
        """The public key, as `[[nix.cache]] keys` wants it; the file with the secret one."""
        self.other_key, self.other_secret = self._make_key("other-1")
        """Another pair, by which nothing is signed."""
        self.paths = self._build()
        """Store paths of the closure by their names in the flake; `NAME.OUTPUT` for all outputs
        but `out`, and `message`, which is only a reference."""

    def make_flake(self, directory: Path) -> Path:
        """A copy of the flake, without inputs, to lock from or to change."""
        shutil.copytree(CLOSURE, directory)
        root, seed = self.programs.root, directory / "seed"
        (seed / "bin").mkdir(parents=True)
        shutil.copy(root / "usr/bin/busybox", seed / "bin/busybox")
        certificates = sorted((root / "usr/share/ca-certificates/mozilla").iterdir())
        text = "".join(path.read_text() for path in certificates)
        (seed / "ca-certificates.crt").write_text(text)
        return directory

    def nix(self, *words: str | Path, **options: Any) -> Said:
        """Run `nix WORDS…`; see `run`."""
        return self.run("nix", *words, **options)

    def nix_store(self, *words: str | Path, **options: Any) -> Said:
        """Run `nix-store WORDS…`; see `run`."""
        return self.run("nix-store", *words, **options)

    def run(
        self,
        program: str,
        *words: str | Path,
        root: Path | None = None,
        settings: str = "",
        directory: Path | None = None,
        stdin: bytes | None = None,
    ) -> Said:
        """Run a program of Nix with the world's store, or with `root`/nix as its /nix.

        `root` may be any tree: an unpacked image, for one. `settings` are lines of nix.conf.
        """
        done = subprocess.run(
            [*self._inside(root or self.directory, settings, directory), program, *words],
            input=stdin or b"",
            capture_output=True,
            check=False,
        )
        said = [text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr)]
        return Said(done.returncode, *said)

    def _inside(self, root: Path, settings: str, directory: Path | None) -> list[str]:
        programs, visible = self.programs.root, os.fspath(self.directory.parent)
        (root / "nix").mkdir(exist_ok=True)
        environment = {
            "PATH": "/usr/bin",
            "HOME": os.fspath(self.directory / "home"),
            "LC_ALL": "C.UTF-8",
            "NIX_CONFIG": _SETTINGS + settings,
            "NIX_SSL_CERT_FILE": os.fspath(self.flake / "seed/ca-certificates.crt"),
        }
        words = [*start_from(programs, "usr/bin/bwrap"), "--unshare-all", "--share-net"]
        words += ["--die-with-parent", "--uid", "0", "--gid", "0", "--clearenv"]
        words += ["--ro-bind", os.fspath(programs / "usr"), "/usr"]
        for name in ("bin", "lib", "lib64"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        words += ["--ro-bind", os.fspath(self.directory / "etc"), "/etc"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        words += ["--bind", visible, visible, "--bind", os.fspath(root / "nix"), "/nix"]
        for name, value in environment.items():
            words += ["--setenv", name, value]
        return [*words, "--chdir", os.fspath(directory or self.directory), "--"]

    def _make_key(self, name: str) -> tuple[str, Path]:
        secret = self.nix("key", "generate-secret", "--key-name", name).check().stdout
        place = self.directory / f"{name}.secret"
        place.write_text(secret)
        public = self.nix("key", "convert-secret-to-public", stdin=secret.encode()).check().stdout
        return public.strip(), place

    def _build(self) -> dict[str, str]:
        system = self.nix("eval", "--raw", "--impure", "--expr", "builtins.currentSystem")
        packages = f"path:{self.flake}#packages.{system.check().stdout}"
        apply = "builtins.mapAttrs (name: one: map (output: output.outPath) one.all)"
        outputs = self.nix("eval", "--json", packages, "--apply", f"all: {apply} all").check().json
        wanted = [f"{packages}.{name}^*" for name in outputs]
        self.nix("build", "--no-link", *wanted).check()
        found = {name: paths[0] for name, paths in outputs.items()}
        found |= {
            f"{name}.{path.rsplit('-', 1)[1]}": path
            for name, paths in outputs.items()
            for path in paths[1:]
        }
        everything = self.nix_store("--query", "--requisites", *found.values()).check().stdout
        found["message"] = next(p for p in everything.split() if p.endswith("-message.txt"))
        self.nix("store", "sign", "--key-file", self.secret, *everything.split()).check()
        return dict(sorted(found.items()))

    def closure(self, *names: str) -> tuple[str, ...]:
        """The store paths that `names` of `paths`, or store paths, need; sorted."""
        wanted = [self.paths.get(name, name) for name in names]
        said = self.nix_store("--query", "--requisites", *wanted).check()
        return tuple(sorted(said.stdout.split()))

    def path_info(self, *names: str) -> Mapping[str, Any]:
        """What `nix path-info --json` says of the closure of `names`, by store path."""
        wanted = [self.paths.get(name, name) for name in names]
        return dict(self.nix("path-info", "--json", "--recursive", *wanted).check().json)

    def build(self, expression: str) -> str:
        """Realise an expression, `flake.packages.x86_64-linux` in scope as `p`, and sign it;
        gives the store path."""
        system = "${builtins.currentSystem}"
        whole = (
            f'let p = (builtins.getFlake "path:{self.flake}").packages.{system}; in {expression}'
        )
        words = ("--impure", "--print-out-paths", "--no-link", "--expr", whole)
        path = self.nix("build", *words).check().stdout.strip()
        self.nix("store", "sign", "--recursive", "--key-file", self.secret, path).check()
        return path

    def add(self, source: Path, name: str) -> str:
        """Add a file or directory of the host as a store path without references; sign it."""
        path = self.nix("store", "add", "--name", name, source).check().stdout.strip()
        self.nix("store", "sign", "--key-file", self.secret, path).check()
        return path

    def copy(self, cache: Path, *names: str, compression: str = "xz") -> Path:
        """`nix copy` the closures of `names` into the file cache `cache`."""
        cache.mkdir(parents=True, exist_ok=True)
        wanted = [self.paths.get(name, name) for name in names]
        self.nix("copy", "--to", f"file://{cache}?compression={compression}", *wanted).check()
        return cache

    def cache(self, compression: str) -> Path:
        """A file cache with all packages; made when it is first asked for."""
        place = self.directory / "caches" / compression
        if not place.exists():
            self.copy(place, *self.paths, compression=compression)
        return place

    @contextmanager
    def serve(self, cache: Path) -> Iterator["CacheServer"]:
        """A file cache over HTTP on loopback, which takes PUT too."""
        server = CacheServer(cache)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class CacheServer(ThreadingHTTPServer):
    """An HTTP cache below a directory. `requests` has `METHOD PATH` of each request, in order."""

    daemon_threads = True
    pause = 0.0
    """Seconds before each answer to GET."""

    def __init__(self, cache: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=os.fspath(cache)))
        self.requests: list[str] = []
        self.most = 0
        """GETs that waited for their answers at one time."""
        self._waiting = 0
        self._guard = threading.Lock()

    def wait(self) -> None:
        with self._guard:
            self._waiting += 1
            self.most = max(self.most, self._waiting)
        time.sleep(self.pause)
        with self._guard:
            self._waiting -= 1

    @cached_property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        assert isinstance(self.server, CacheServer)
        self.server.requests.append(f"{self.command} {self.path}")

    def do_GET(self) -> None:
        assert isinstance(self.server, CacheServer)
        self.server.wait()
        super().do_GET()

    def do_PUT(self) -> None:
        place = Path(self.translate_path(self.path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
