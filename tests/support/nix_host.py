"""A host without a machine: a release's /nix, a /var/lib/nix that stays, and what the image has.

Namespaces are all it takes, so that many boots take no time. Two releases are made by real Nix:

    1: app-1 ─▶ libc-1, common        2: app-2 ─▶ libc-2, common

and on the machine `mine` can be built, which refers to libc-1 and to `own`.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from osloom.engine.tools import start_from
from support.programs import Programs

PROGRAM = Path(__file__).parents[2] / "src/osloom/compose/nix/data/nix-writable"
_PACKAGES = ("nix-bin", "sqlite3", "busybox-static", "bubblewrap", "dash", "coreutils", "diffutils")
_MORE = ("findutils", "grep", "sed", "mount", "util-linux")
_SETTINGS = """\
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
"""

# A user namespace has xattrs of its own for overlays, and may not name what is off anyway.
_MOUNT = """\
#!/bin/sh
for word; do
    shift
    case $word in index=off*) word=userxattr ;; esac
    set -- "$@" "$word"
done
exec /usr/bin/mount "$@"
"""
EXPRESSION = """\
{ system ? builtins.currentSystem }:
let
  seed = builtins.path { path = ./seed; name = "seed"; };
  box = "${seed}/bin/busybox";
  make = name: text: derivation {
    inherit name system;
    builder = box;
    args = [ "sh" "-euc" "${box} mkdir -p $out/bin; ${text}" ];
  };
  file = name: make name "echo ${name} > $out/says";
  program = name: says: make name ''
    echo "#!${box} sh" > $out/bin/say
    echo "${box} cat ${builtins.concatStringsSep " " (map (one: "${one}/says") says)}" >> $out/bin/say
    ${box} chmod +x $out/bin/say
  '';
in rec {
  libc-1 = file "libc-1";
  libc-2 = file "libc-2";
  common = file "common";
  own = file "own";
  later = file "later";
  app-1 = program "app-1" [ libc-1 common ];
  app-2 = program "app-2" [ libc-2 common ];
  mine = program "mine" [ libc-1 own ];
}
"""


@dataclass(frozen=True)
class Ended:
    status: int
    output: str

    def check(self) -> str:
        assert self.status == 0, self.output
        return self.output


class NixHost:
    """See the module; everything is below `directory`."""

    def __init__(self, directory: Path, store: Path) -> None:
        self.directory = directory
        (directory / "programs").mkdir()
        self.programs = Programs(directory / "programs", store, *_PACKAGES, *_MORE)
        self.source = directory / "source"
        (self.source / "seed/bin").mkdir(parents=True)
        shutil.copy(self.programs.root / "usr/bin/busybox", self.source / "seed/bin")
        (self.source / "default.nix").write_text(EXPRESSION)
        (directory / "libexec").mkdir()
        shutil.copy(PROGRAM, directory / "libexec")
        (directory / "bin").mkdir()
        (directory / "bin/mount").write_text(_MOUNT)
        (directory / "bin/mount").chmod(0o755)
        for number in (1, 2):
            self._make_release(number)

    def release(self, number: int) -> Path:
        """What is at /nix in the image of the release `number`."""
        return self.directory / f"release-{number}/nix"

    def boot(self, number: int, machine: Path, script: str, *, shims: Path | None = None) -> Ended:
        """Mount, and run `script` as root, with `machine` at /var/lib/nix; then it all ends."""
        return self.run(
            f"/usr/libexec/nix-writable mount\n{script}",
            "--ro-bind",
            self.release(number),
            "/nix",
            "--bind",
            machine,
            "/var/lib/nix",
            *(("--bind", shims, "/shims") if shims else ()),
        )

    def run(self, script: str, *more: str | Path) -> Ended:
        root = self.programs.root
        words = [*start_from(root, "usr/bin/bwrap"), "--unshare-all", "--die-with-parent"]
        words += ["--uid", "0", "--gid", "0", "--cap-add", "ALL", "--clearenv"]
        words += ["--ro-bind", root / "usr", "/usr", "--ro-bind", self.directory / "libexec"]
        words += ["/usr/libexec"]
        for name in ("bin", "lib", "lib64"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
        words += ["--dir", "/etc", "--ro-bind", self.source, "/srv"]
        words += ["--ro-bind", self.directory / "bin", "/mounting", *more, "--setenv"]
        words += ["PATH", "/shims:/mounting:/usr/sbin:/usr/bin", "--setenv", "HOME", "/tmp"]
        words += ["--setenv", "NIX_CONFIG", _SETTINGS, "--", "/bin/sh", "-euc", script]
        done = subprocess.run(
            [*map(os.fspath, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(errors="replace"))

    def _make_release(self, number: int) -> None:
        place = self.release(number).parent
        place.mkdir()
        script = (
            f"nix copy --no-check-sigs --to 'local?root=/out' $(nix-build /srv -A app-{number})"
        )
        with contextlib.suppress(FileExistsError):
            (self.directory / "build").mkdir()
        self.run(
            script, "--bind", self.directory / "build", "/nix", "--bind", place, "/out"
        ).check()
        state = place / "nix/var/nix"
        # As an image has it: one file, and nothing of a Nix that ran.
        connection = sqlite3.connect(state / "db/db.sqlite")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        for path in state.iterdir():
            if path.name != "db":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in ("big-lock", "reserved"):
            (state / "db" / name).unlink()
        (state / "profiles").mkdir()
