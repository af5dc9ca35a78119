"""Machines as QEMU is told of them, and disks that somebody gives to one."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from osloom.base.errors import BuildError, UsageError
from osloom.engine.tools import Tools
from osloom.run.machine import Drive, Machine, arguments, disk_of, firmware
from osloom.run.qemu import command_line


@pytest.mark.parametrize(("content", "format_"), [(b"QFI\xfb\0", "qcow2"), (b"\0\0", "raw")])
def test_the_format_of_a_disk_is_seen(tmp_path: Path, content: bytes, format_: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    assert disk_of(path) == Drive(path=path, format=format_, keep=True)


def test_a_disk_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with pytest.raises(UsageError) as caught:
        disk_of(path)
    assert caught.value.message == f"cannot use `{path}` as a disk: no such file or directory"
    assert caught.value.hint == f"make an empty one: `truncate --size=8G {path}`"


def _machine(**settings: Any) -> Machine:
    return Machine(architecture="amd64", drives=(), **settings)


def _values(words: Sequence[str], option: str) -> list[str]:
    return [value for name, value in pairwise(words) if name == option]


def test_a_credential_by_fw_cfg_keeps_its_commas() -> None:
    words = arguments(_machine(fw_cfg={"login": "a,b"}))
    assert _values(words, "-fw_cfg") == ["name=opt/io.systemd.credentials/login,string=a,,b"]


def test_a_credential_with_a_name_too_long_for_fw_cfg_is_refused() -> None:
    arguments(_machine(fw_cfg={"x" * 28: ""}))
    with pytest.raises(UsageError) as caught:
        arguments(_machine(fw_cfg={"x" * 29: ""}))
    assert caught.value.message == (
        f"cannot give the credential `{'x' * 29}` by fw_cfg: its name is too long"
    )


def test_an_overlay_is_read_with_its_base() -> None:
    drive = Drive(path=Path("o"), format="qcow2", keep=True, base=Drive(path=Path("b")))
    words = arguments(Machine(architecture="amd64", drives=(drive,)))
    assert _values(words, "-drive")[2] == (
        "if=none,id=d0,format=qcow2,snapshot=off,file=/mnt/drive0,"
        "backing.driver=raw,backing.file.driver=file,backing.file.filename=/mnt/base0"
    )


def test_a_machine_ends_with_a_reboot_unless_it_may() -> None:
    assert "-no-reboot" in arguments(_machine())
    assert "-no-reboot" not in arguments(_machine(reboots=True))


def test_firmware_for_secure_boot_is_only_there_for_amd64(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="secure boot for arm64"):
        firmware(Machine(architecture="arm64", drives=(), secure_boot=True), tmp_path)


def test_variables_of_the_firmware_stay_as_a_machine_left_them(tmp_path: Path) -> None:
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        path = tmp_path / "usr/share/OVMF" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("new")
    tools = Tools(tmp_path)
    command_line(_machine(), tools, tmp_path)
    assert (tmp_path / "variables").read_text() == "new"
    (tmp_path / "variables").write_text("enrolled")
    command_line(_machine(), tools, tmp_path)
    assert (tmp_path / "variables").read_text() == "enrolled"
