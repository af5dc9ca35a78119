"""Which files the kernel gives to an emulator, and what is said when it will not."""

import re
import sys
from pathlib import Path

import pytest

from osloom.base.errors import BuildError
from osloom.engine import emulation
from osloom.engine.emulation import MACHINES, registration, smallest_program

_DEBIAN = {
    # The first 20 bytes of Debian's dash and of its C library, which uses GNU's ABI.
    "aarch64": (
        "7f454c460201010000000000000000000300b700",
        "7f454c460201010300000000000000000300b700",
    ),
    "x86_64": (
        "7f454c4602010100000000000000000003003e00",
        "7f454c4602010103000000000000000003003e00",
    ),
}
_OTHERS = {
    "a script": b"#!/bin/sh\nexit 0\n# and more\n",
    "32 bits": bytes.fromhex("7f454c4601010100000000000000000003002800"),
    "big endian": bytes.fromhex("7f454c46020201000000000000000000000300b7"),
    "an object file": bytes.fromhex("7f454c460201010000000000000000000100b700"),
}


def _is_given(line: bytes, data: bytes) -> bool:
    """What the kernel's binfmt_misc does with a file that begins with `data`."""
    kind, offset, magic, mask = line.decode().split(":")[2:6]
    assert (kind, offset) == ("M", "0")
    wanted, counted = (
        bytes(int(byte, 16) for byte in re.findall(r"\\x(..)", text)) for text in (magic, mask)
    )
    assert len(wanted) == len(counted) == 20
    return all(
        (one ^ two) & bits == 0 for one, two, bits in zip(data, wanted, counted, strict=False)
    )


@pytest.mark.parametrize("name", MACHINES)
def test_just_programs_of_the_architecture_are_emulated(name: str) -> None:
    line = registration(MACHINES[name], "/emulator")
    for machine, headers in _DEBIAN.items():
        for header in headers:
            assert _is_given(line, bytes.fromhex(header)) is (machine == name)
    for machine, described in MACHINES.items():
        assert _is_given(line, smallest_program(described)) is (machine == name)
    for what, data in _OTHERS.items():
        assert not _is_given(line, data), what


def test_programs_of_this_host_are_not() -> None:
    line = registration(emulation.foreign(), "/emulator")
    assert not _is_given(line, Path(sys.executable).read_bytes()[:20])


def test_the_registration_has_its_interpreter_and_flags() -> None:
    line = registration(MACHINES["aarch64"], "/proc/self/fd/3").decode()
    assert line.startswith(":qemu-aarch64:M:0:")
    assert line.endswith(":/proc/self/fd/3:POF")


@pytest.mark.parametrize("host", ["x86_64", "aarch64"])
def test_an_old_kernel_is_told_of(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No kernel that the tests run on is as old.
    def refuse(_: Path) -> None:
        raise BuildError("cannot mount binfmt_misc: Operation not permitted")

    monkeypatch.setattr(emulation.platform, "machine", lambda: host)
    monkeypatch.setattr(emulation, "mount_own", refuse)
    monkeypatch.setattr(emulation, "is_allowed", lambda _: False)
    with pytest.raises(BuildError) as raised:
        emulation.allow(tmp_path, tmp_path)
    own, other = ("amd64", "arm64") if host == "x86_64" else ("arm64", "amd64")
    assert raised.value.message == (
        f"cannot run programs of {other} on this {own} host: "
        "its kernel gives user namespaces no binfmt_misc"
    )
    assert "Linux 6.7" in str(raised.value.hint)
    # What the host has registered itself is as good.
    monkeypatch.setattr(emulation, "is_allowed", lambda _: True)
    emulation.allow(tmp_path, tmp_path)
