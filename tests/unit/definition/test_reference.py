"""The reference page has every key, and the committed pages are those that the code makes."""

import os
import sys
from pathlib import Path

from osloom.base.command import run
from osloom.definition.reference import page

ROOT = Path(__file__).parents[3]


def rows(header: str) -> list[str]:
    """The rows of one table of the page."""
    section = page().partition(f"`{header}`\n")[2].partition("\n#")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_a_key_is_a_row_with_its_type_its_default_and_what_it_is() -> None:
    assert rows("[image.NAME.nspawn]") == [
        (
            '| `compression` | `gzip`, `xz` or `zstd` | `"gzip"` |'
            " Of the archive; importctl of systemd 257 does not take `zstd` yet. |"
        ),
        "| `level` | number: 1 to 19 | `3` | Of the compression. |",
    ]
    assert (
        '| `esp-size` | string: bytes, or a number with K, M, G or T behind it | `"256M"` |'
        " Of the EFI system partition. |"
    ) in rows("[image.NAME.disk]")


def test_every_table_has_a_section() -> None:
    headers = [
        line.lstrip("# ") for line in page().splitlines() if line.startswith(("## `", "### `"))
    ]
    assert headers == [
        "`[project]`",
        "`[debian]`",
        "`[[debian.repository]]`",
        "`[nix]`",
        "`[[nix.cache]]`",
        "`[registry]`",
        "`[release]`",
        "`[keys]`",
        "`[keys.release]`",
        "`[keys.verity]`",
        "`[keys.secure-boot]`",
        "`[image.NAME]`",
        "`[image.NAME.nix]`",
        '`[image.NAME.files."/PATH"]`',
        "`[image.NAME.users.NAME]`",
        "`[image.NAME.groups.NAME]`",
        "`[image.NAME.systemd]`",
        "`[[image.NAME.script]]`",
        "`[[image.NAME.test]]`",
        "`[image.NAME.oci]`",
        "`[image.NAME.oci.healthcheck]`",
        "`[image.NAME.nspawn]`",
        "`[image.NAME.tar]`",
        "`[image.NAME.disk]`",
        "`[image.NAME.disk.data]`",
        "`[image.NAME.disk.partition.NAME]`",
        "`[image.NAME.initrd]`",
        "`[image.NAME.uki]`",
        "`[image.NAME.extension]`",
        "`[image.NAME.update]`",
        "`[[image.NAME.health]]`",
    ]


def test_the_pages_in_the_repository_are_those_that_the_code_makes() -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = run(
        [sys.executable, ROOT / "scripts/generate.py", "--check"],
        environment=environment,
        check=False,
    )
    assert (done.stderr.decode(), done.status) == ("", 0)
