"""UKIs beside those of ukify: the same bytes."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from osloom.model.blocks import blocks_of
from osloom.model.pe import parse_program
from osloom.model.pe_section import add_sections
from osloom.model.uki import Parts, make_uki
from support.appliance import Bench
from support.programs import Programs

_PACKAGES = (
    "bubblewrap",
    "coreutils",
    "dash",
    "linux-image-cloud-amd64",
    "systemd-boot-efi",
    "systemd-ukify",
)
_BOOT = "usr/lib/systemd/boot/efi"
_RELEASE = "ID=debian\nIMAGE_ID=edge\nPRETTY_NAME='Größe'\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Bench:
    programs = Programs(tmp_path_factory.mktemp("programs"), store, *_PACKAGES)
    return Bench(programs, tmp_path_factory.mktemp("uki"))


def by_ukify(bench: Bench, kernel: str, *initrds: bytes, line: str | None = None) -> bytes:
    (bench.work / "os-release").write_text(_RELEASE)
    options = [] if line is None else [f"--cmdline={line}"]
    for number, content in enumerate(initrds):
        (bench.work / f"initrd-{number}").write_bytes(content)
        options.append(f"--initrd=initrd-{number}")
    bench.run("ukify", "build", f"--linux=/{kernel}", "--os-release=@os-release", *options)
    # It names its file after the kernel's.
    (made,) = bench.work.glob("*.unsigned.efi")
    content = made.read_bytes()
    made.unlink()
    return content


@pytest.fixture
def parts(bench: Bench) -> Callable[..., Parts]:
    def of(kernel: str, *initrds: bytes, line: str | None = None) -> Parts:
        root = bench.tools.root
        return Parts(
            stub=(root / _BOOT / "linuxx64.efi.stub").read_bytes(),
            kernel=(root / kernel).read_bytes(),
            release=_RELEASE.encode(),
            initrds=initrds,
            line=line,
        )

    return of


def test_a_uki_of_debians_kernel_is_the_one_of_ukify(
    bench: Bench, parts: Callable[..., Parts]
) -> None:
    (kernel,) = (one.name for one in (bench.tools.root / "boot").glob("vmlinuz-*"))
    initrd, line = random.Random(1).randbytes(3_000_001), "root=LABEL=x quiet"
    made = make_uki(parts(f"boot/{kernel}", initrd, line=line))
    assert made == by_ukify(bench, f"boot/{kernel}", initrd, line=line)
    assert parse_program(blocks_of(made)).text(".uname") == kernel.removeprefix("vmlinuz-")


def test_archives_lie_one_behind_the_other_and_a_kernel_may_be_silent(
    bench: Bench, parts: Callable[..., Parts]
) -> None:
    # Any EFI program is a kernel to ukify: this one has no version, is strict and has an SBAT.
    kernel = f"{_BOOT}/systemd-bootx64.efi"
    initrds = (b"one", b"two two", b"three")
    made = make_uki(parts(kernel, *initrds))
    assert made == by_ukify(bench, kernel, *initrds)
    sections = parse_program(blocks_of(made)).sections
    assert ".uname" not in sections
    assert ".cmdline" not in sections
    assert "\nsystemd-boot," in parse_program(blocks_of(made)).text(".sbat")


def test_a_command_line_that_is_added_later_lies_behind_the_rest(
    parts: Callable[..., Parts],
) -> None:
    kernel = f"{_BOOT}/systemd-bootx64.efi"
    whole = make_uki(parts(kernel, b"initrd", line="quiet"))
    later = add_sections(make_uki(parts(kernel, b"initrd")), [(".cmdline", b"quiet")])
    first, second = (parse_program(blocks_of(one)).sections for one in (whole, later))
    assert list(second)[-1] == ".cmdline"
    assert {name: one.read(0, one.size) for name, one in first.items()} == {
        name: one.read(0, one.size) for name, one in second.items()
    }
