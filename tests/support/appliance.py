"""A disk with two slots, made by systemd-repart and veritysetup, with UKIs by ukify."""

import random
import re
import subprocess
from pathlib import Path
from uuid import UUID

from osloom.engine.tools import Tools
from support.programs import Programs

PACKAGES = (
    "bmap-tools",
    "bubblewrap",
    "coreutils",
    "cryptsetup-bin",
    "dash",
    "dosfstools",
    "erofs-utils",
    "fdisk",
    "mtools",
    "openssl",
    "qemu-utils",
    "sbsigntool",
    "systemd",
    "systemd-boot-efi",
    "systemd-repart",
    "systemd-ukify",
    "zstd",
)
ID = "edge-gateway"
_STUB = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
_SLOT = 8 << 20
_HASHES = 1 << 20


class Bench:
    """Where disks are made; programs run in `work`."""

    def __init__(self, programs: Programs, work: Path) -> None:
        self.tools, self.work = Tools(programs.root), work

    def run(self, *command: str) -> str:
        return self.tools.run(command, work=self.work).stdout.decode()

    def version(self, number: int) -> str:
        """The root, the hashes and the UKI of a version; gives its root hash."""
        root = self.work / f"root-{number}"
        root.mkdir()
        # Nothing that compresses: more blocks than one block of hashes has room for.
        (root / "noise").write_bytes(random.Random(number).randbytes(1 << 20))
        (root / "version").write_text(f"{number}\n")
        erofs = f"{number}.root"
        self.run("mkfs.erofs", "--quiet", erofs, root.name)
        said = self.run("veritysetup", "format", erofs, f"{number}.verity")
        found = re.search(r"Root hash:\s+([0-9a-f]{64})", said)
        assert found, said
        release = f"ID=debian\nIMAGE_ID={ID}\nIMAGE_VERSION={number}\nPRETTY_NAME='Edge {number}'\n"
        (self.work / "os-release").write_text(release)
        self.run(
            *("ukify", "build", f"--linux={_STUB}", "--os-release=@os-release", "--uname=6.12"),
            f"--cmdline=quiet roothash={found[1]}",
            f"--output={number}.efi",
        )
        return found[1]

    def sign(self, program: str, signed: str) -> None:
        """An EFI program with a signature by a new key."""
        self.run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db"),
            *("-keyout", "db.key", "-out", "db.crt"),
        )
        self.run("sbsign", "--key=db.key", "--cert=db.crt", f"--output={signed}", program)

    def disk(self, name: str, slots: dict[str, str | None]) -> Path:
        """A disk with versions (and their root hashes) in its slots; None is an empty slot."""
        definitions = self.work / f"{name}.repart.d"
        definitions.mkdir()
        lines = ["Type=esp", "Label=esp", "SizeMinBytes=64M", "SizeMaxBytes=64M", "Format=vfat"]
        self._define(definitions, "10-esp", lines)
        for place, (version, root_hash) in enumerate(slots.items(), 1):
            for kind, size, half in (("", _SLOT, 0), ("-verity", _HASHES, 32)):
                lines = [f"Type=root-x86-64{kind}", f"SizeMinBytes={size}", f"SizeMaxBytes={size}"]
                lines += [f"Label={ID}_{version}" if root_hash else "Label=_empty"]
                if root_hash:
                    file = f"{version}.{'verity' if kind else 'root'}"
                    lines += [f"UUID={UUID(root_hash[half : half + 32])}"]
                    lines += [f"CopyBlocks=/mnt/work/{file}"]
                self._define(definitions, f"{place + 1}{half}-root{kind}", lines)
        self.run(
            *("systemd-repart", "--empty=create", "--size=auto", "--offline=yes", "--dry-run=no"),
            *("--no-pager", f"--definitions=/mnt/work/{definitions.name}", name),
        )
        return self.work / name

    def _define(self, directory: Path, name: str, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in ("[Partition]", *lines))
        (directory / f"{name}.conf").write_text(text)

    def fill_esp(self, disk: Path, files: dict[str, str]) -> None:
        """Copy files of `work`, by their places on the ESP."""
        where = f"{disk.name}@@1M"
        for directory in ("EFI", "EFI/Linux", "loader", "loader/keys", "loader/keys/own"):
            self.run("mmd", "-i", where, f"::/{directory}")
        for place, file in files.items():
            self.run("mcopy", "-i", where, file, f"::/{place}")


class Made:
    """A disk whose slot A has version 7, and slot B version 10, which is on trial; 9 is on the ESP only."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seven, self.ten = bench.version(7), bench.version(10)
        bench.version(9)
        self.disk = bench.disk("disk.raw", {"7": self.seven, "10": self.ten})
        (bench.work / "loader.conf").write_text(f"timeout 0\ndefault {ID}_*\n")
        bench.fill_esp(
            self.disk,
            {
                f"EFI/Linux/{ID}_7.efi": "7.efi",
                f"EFI/Linux/{ID}_10+2-1.efi": "10.efi",
                f"EFI/Linux/{ID}_9+0-3.efi": "9.efi",
                "loader/loader.conf": "loader.conf",
            },
        )


def flip(path: Path, offset: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def copied(source: Path, target: Path) -> Path:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
    return target
