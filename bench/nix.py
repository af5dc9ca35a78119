"""How long a closure of Nix takes from a binary cache on this machine, beside `nix copy`.

Some 200 store paths of 500 MB, of files of Debian, in a cache that nginx serves on loopback. Both sides
verify what comes: signatures, hashes and sizes. Both start with an empty store.
"""

import argparse
import contextlib
import itertools
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from measure import USED, pair, spread, timed

from osloom.engine.decoder import find_decoder
from osloom.engine.tools import start_from
from osloom.model.closure import StorePath
from osloom.sources.nix.narinfo import parse_narinfo, to_store_path

sys.path.insert(0, os.fspath(Path(__file__).parent.parent / "tests"))

from support.nix import NixWorld
from support.programs import Programs

PATHS = 210
SIZE = 500_000_000
LARGEST = 8_000_000
SEEDS = (
    "g++",
    "git",
    "libllvm19",
    "perl",
    "python3-scipy",
    "vim",
    "linux-image-cloud-amd64",
    "cmake",
    "clang-19",
    "nodejs",
)
FETCH = """
from osloom.cli.start import prepare
prepare()
import sys; from pathlib import Path
import msgspec
from osloom.base.progress import silent
from osloom.engine.executor import LocalExecutor
from osloom.model.closure import StorePath
from osloom.model.providers import Cache, Nix
from osloom.sources.nix.fetch import fetch_store_paths
from osloom.store.store import Store
paths = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=list[StorePath])
nix = Nix(cache=(Cache(url=sys.argv[3], keys=(sys.argv[4],)),))
store = Store(Path(sys.argv[1]))
executor = LocalExecutor(store, decoder=lambda: Path(sys.argv[5]))
fetch_store_paths(store, paths, nix, directory=Path("/"), report=silent, executor=executor)
executor.stop()
"""


class Closure:
    """The store paths and the caches that have them."""

    def __init__(self, place: Path, store: Path) -> None:
        self.place = place
        (place / "seeds").mkdir(parents=True)
        self.programs = Programs(place / "seeds", store, "nginx-light", *SEEDS)
        self.world = NixWorld(place / "world", store)
        parts = place / "parts"
        count = self._parts(parts)
        expression = EXPRESSION.replace("PARTS", os.fspath(parts)).replace("COUNT", str(count))
        self.root = self.world.build(expression)
        shutil.rmtree(parts)
        self.cache("none")
        self.paths = self._locked()
        (place / "paths.json").write_bytes(msgspec.json.encode(self.paths))

    def _parts(self, target: Path) -> int:
        """Make directories of files, a few of them large; gives how many."""
        files = sorted(
            path
            for path in (self.programs.root / "usr").rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        files = [path for path in files if path.stat().st_size < LARGEST]
        ends = itertools.accumulate(path.stat().st_size for path in files)
        files = [path for path, end in zip(files, ends, strict=True) if end <= SIZE]
        shares = [1 / (number + 4) for number in range(PATHS)]
        left, number, size = sum(path.stat().st_size for path in files), 0, 0
        for path in files:
            if size >= left * shares[number] / sum(shares[number:]):
                left -= size
                number, size = number + 1, 0
            place = target / str(number) / path.relative_to(self.programs.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
            size += path.stat().st_size
        return number + 1

    def _locked(self) -> list[StorePath]:
        found = []
        for path in self.world.closure(self.root):
            place = self.cache("none") / f"{Path(path).name[:32]}.narinfo"
            found.append(to_store_path(parse_narinfo(place.read_bytes(), where=str(place))))
        return found

    def cache(self, compression: str) -> Path:
        place = self.place / "caches" / compression
        if not place.exists():
            self.world.copy(place, self.root, compression=compression)
        return place

    @contextlib.contextmanager
    def served(self, compression: str) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        state = Path(tempfile.mkdtemp(dir=self.place))
        (state / "nginx.conf").write_text(
            NGINX.format(state=state, port=port, cache=self.cache(compression))
        )
        words = [*start_from(self.programs.root, "usr/sbin/nginx"), "-c", state / "nginx.conf"]
        server = subprocess.Popen([*words, "-p", state, "-e", state / "error.log"])
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


EXPRESSION = """
let
  parts = builtins.path { name = "parts"; path = PARTS; };
  make = name: script: builtins.derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "${p.busybox}/bin/sh";
    PATH = "${p.busybox}/bin";
    args = [ "-euc" script ];
  };
  part = number: make "part-${toString number}" ''
    mkdir $out
    cp -r ${parts}/${toString number}/. $out
    echo ${if number == 0 then p.library else part (number / 2)} > $out/needs
  '';
in make "all" "echo ${toString (builtins.genList part COUNT)} > $out"
"""
NGINX = """
daemon off;
worker_processes 1;
pid {state}/pid;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    sendfile on;
    keepalive_requests 10000;
    server {{ listen 127.0.0.1:{port}; root {cache}; }}
}}
"""


def fresh(closure: Closure) -> Path:
    """A new directory, which stays for the row; see `measure.copied`."""
    used = closure.place / USED
    used.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=used))


def fetch(closure: Closure, url: str) -> float:
    """Seconds of one process of osloom, into a new store."""
    place = fresh(closure)
    words = [sys.executable, "-c", FETCH, place / "store", closure.place / "paths.json"]
    # What a person runs has its byte code.
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    words += [url, closure.world.key, find_decoder(closure.world.programs.root)]
    return timed(lambda: subprocess.run(words, check=True, env=environment))


def copy(closure: Closure, url: str) -> float:
    """Seconds of one `nix copy`, into a new store."""
    place = fresh(closure)
    settings = f"trusted-public-keys = {closure.world.key}\n"
    words = ("copy", "--from", url, closure.root)
    return timed(lambda: closure.world.nix(*words, root=place, settings=settings).check())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path.home() / ".cache/osloom")
    parser.add_argument("--compression", action="append")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as place:
        # For root nginx serves as another user.
        Path(place).chmod(0o755)
        closure = Closure(Path(place) / "closure", arguments.store)
        size = sum(path.nar_size for path in closure.paths)
        print(f"{len(closure.paths)} paths, {size / 1e6:.0f} MB of NARs, {platform.machine()}")
        for compression in arguments.compression or ("xz", "zstd", "none"):
            with closure.served(compression) as url:
                ours, theirs, ratios = pair(
                    lambda: fetch(closure, url), lambda: copy(closure, url), arguments.runs
                )
            print(
                f"{compression}: osloom {spread(ours)}, nix copy {spread(theirs)}, "
                f"{spread(ratios, 'times as fast')}"
            )


if __name__ == "__main__":
    main()
