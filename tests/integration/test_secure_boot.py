"""Firmware takes the keys that osloom makes, and starts what they have signed: OVMF in QEMU."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from osloom.engine.tools import Tools
from osloom.keys.open import SigningKeys, open_keys
from osloom.keys.sign import sign_efi
from osloom.model.providers import Keys
from support.cli import osloom
from support.programs import Programs

NAMES = ("bubblewrap", "qemu-system-x86", "ovmf", "systemd-boot-efi", "efi-shell-x64")
PATIENCE = 180
"""Seconds; a boot takes about ten without KVM."""


@dataclass(frozen=True)
class Board:
    """A board whose firmware enforces secure boot once it has a platform key."""

    programs: Programs
    work: Path
    """Holds `variables` and the EFI system partition, `esp`."""
    signing: SigningKeys
    now: int

    def boot(self, program: bytes, *, until: str) -> str:
        """The console of a boot with `program` as its loader, as far as `until` or to its end."""
        (self.work / "esp/EFI/BOOT").mkdir(parents=True, exist_ok=True)
        (self.work / "esp/EFI/BOOT/BOOTX64.EFI").write_bytes(program)
        with (self.work / "console").open("wb") as console:
            process = subprocess.Popen(
                Tools(self.programs.root).argv(COMMAND, work=self.work),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        try:
            end = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < end:
                if until in self.console():
                    break
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
        return self.console()

    def console(self) -> str:
        said = (self.work / "console").read_text(errors="replace")
        return re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "", said)

    def signed(self, program: bytes) -> bytes:
        assert self.signing.secure_boot is not None
        return sign_efi(program, self.signing.secure_boot)


FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
COMMAND = [
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
    *("-machine", "q35,smm=on", "-accel", "tcg", "-cpu", "max", "-m", "256M"),
    # Without it the system could write the firmware's variables behind its back.
    *("-global", "driver=cfi.pflash01,property=secure,value=on"),
    *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}"),
    *("-drive", "if=pflash,format=raw,unit=1,file=/mnt/work/variables"),
    *("-drive", "if=none,id=esp,format=raw,readonly=on,file=fat:/mnt/work/esp"),
    *("-device", "virtio-blk-pci,drive=esp", "-serial", "stdio", "-monitor", "none"),
]
RUNS = "the shell runs"
REFUSED = "Access Denied"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Board:
    programs = Programs(tmp_path_factory.mktemp("programs"), store, *NAMES)
    work = tmp_path_factory.mktemp("board")
    osloom(work, "keys", "new").check()
    now = int((work / "keys/release.key").stat().st_mtime)
    signing = open_keys(Keys(directory="keys"), work, now=now)
    shutil.copy(programs.root / "usr/share/OVMF/OVMF_VARS_4M.fd", work / "variables")
    # The shell runs this by itself.
    (work / "esp").mkdir()
    (work / "esp/startup.nsh").write_text(f'echo "{RUNS}"\r\nreset -s\r\n')
    return Board(programs, work, signing, now)


def shell_of(board: Board) -> bytes:
    return (board.programs.root / "usr/share/efi-shell-x64/shellx64.efi").read_bytes()


def test_firmware_starts_what_is_signed_and_nothing_else(board: Board) -> None:
    """One test: what the firmware keeps is what the next boot begins with."""
    keys = board.work / "esp/loader/keys/auto"
    keys.mkdir(parents=True)
    for name, update in board.signing.enrolment.items():
        (keys / name).write_bytes(update)
    (board.work / "esp/loader/loader.conf").write_text("secure-boot-enroll force\ntimeout 0\n")
    loader = (board.programs.root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi").read_bytes()
    assert "successfully enrolled" in board.boot(loader, until="rebooting the system now")

    shell = shell_of(board)
    signed = board.signed(shell)
    altered = bytearray(signed)
    altered[len(shell) // 2] ^= 1
    cases: dict[str, tuple[bytes, str]] = {
        "signed": (signed, RUNS),
        "signed twice": (board.signed(signed), RUNS),
        "unsigned": (shell, REFUSED),
        "altered": (bytes(altered), REFUSED),
        "signed by another key": (other_key(board)(shell), REFUSED),
    }
    for name, (program, end) in cases.items():
        said = board.boot(program, until=end)
        assert (end in said, RUNS in said) == (True, end == RUNS), f"{name}:\n{said}"


def other_key(board: Board) -> Callable[[bytes], bytes]:
    """Signs with the key above: it may change `db`, and is not in it."""
    place = board.work / "other"
    place.mkdir()
    for name in ("KEK.key", "KEK.crt"):
        shutil.copy(board.work / "keys/secure-boot" / name, place)
    used = Keys(secure_boot="other/KEK.key")
    signer = open_keys(used, board.work, now=board.now).secure_boot
    assert signer is not None
    return lambda program: sign_efi(program, signer)
