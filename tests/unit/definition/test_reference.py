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
    assert rows("[image.NAME.disk]") == [
        '| `format` | `raw` or `qcow2` | `"raw"` | Of the file. |',
        (
            '| `filesystem` | `ext4`, `erofs` or `btrfs` | `"ext4"` |'
            " Of the root partition; with erofs, what the system writes is forgotten when it ends. |"
        ),
        (
            "| `size` | string: bytes, or a number with K, M, G or T behind it |  |"
            " Of the root partition; what the content needs and 20 % by default. |"
        ),
        (
            '| `esp-size` | string: bytes, or a number with K, M, G or T behind it | `"256M"` |'
            " Of the EFI system partition. |"
        ),
        "| `compression` | string |  | Of erofs: `lz4`, `lz4hc,12`, `zstd,9` …; of btrfs: `zstd`, `zstd,9`; none by default. |",
    ]


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
        "`[image.NAME.initrd]`",
        "`[image.NAME.uki]`",
        "`[image.NAME.extension]`",
        "`[image.NAME.update]`",
    ]


def test_the_pages_in_the_repository_are_those_that_the_code_makes() -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = run(
        [sys.executable, ROOT / "scripts/generate.py", "--check"],
        environment=environment,
        check=False,
    )
    assert (done.stderr.decode(), done.status) == ("", 0)
