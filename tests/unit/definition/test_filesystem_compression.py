"""What file systems may be compressed with."""

import pytest

from osloom.definition.load import parse
from support.mistakes import mistakes

DISK = '[image.a]\noutputs = ["disk"]\n[image.a.disk]\n'
EROFS = DISK + 'filesystem = "erofs"\n'
WRONG = {
    "no method": (
        EROFS + 'compression = "zsdt"\n',
        "5:1 erofs cannot be compressed with `zsdt` | did you mean `zstd`?",
    ),
    "nothing like a method": (
        EROFS + 'compression = "best"\n',
        (
            "5:1 erofs cannot be compressed with `best` | it knows `lz4`, `lz4hc`, `lzma`, "
            "`deflate`, `libdeflate`, `zstd`"
        ),
    ),
    "the second of two": (
        EROFS + 'compression = "lz4:zsdt"\n',
        "5:1 erofs cannot be compressed with `zsdt` | did you mean `zstd`?",
    ),
    "too high a level": (
        EROFS + 'compression = "zstd,23"\n',
        "5:1 `zstd` has no level 23 | it has those up to 22",
    ),
    "a level where there is none": (
        EROFS + 'compression = "lz4,9"\n',
        "5:1 `lz4` has no levels | leave it out",
    ),
    "an option": (
        EROFS + 'compression = "zstd,fast"\n',
        "5:1 `fast` says nothing about `zstd` | write a level behind the method, as in `zstd,9`",
    ),
    "a method that btrfs does not have": (
        DISK + 'filesystem = "btrfs"\ncompression = "lz4"\n',
        "5:1 btrfs cannot be compressed with `lz4` | it knows `zstd`",
    ),
    "a level that btrfs does not have": (
        DISK + 'filesystem = "btrfs"\ncompression = "zstd,19"\n',
        "5:1 `zstd` has no level 19 | it has those up to 15",
    ),
    "an option that btrfs does not have": (
        DISK + 'filesystem = "btrfs"\ncompression = "zstd,dictsize=4096"\n',
        (
            "5:1 `dictsize=4096` says nothing about `zstd`"
            " | write a level behind the method, as in `zstd,9`"
        ),
    ),
    "ext4": (
        DISK + 'compression = "zstd"\n',
        '4:1 the root is ext4, which is not compressed | say `filesystem = "erofs"`, or leave it out',
    ),
    "an appliance, always erofs": (
        DISK + 'layout = "appliance"\ncompression = "lzo"\n',
        "5:1 erofs cannot be compressed with `lzo` | did you mean `lz4`?",
    ),
    "an extension": (
        (
            '[image.a]\noutputs = ["disk"]\n[image.x]\nextends = "a"\noutputs = ["sysext"]\n'
            '[image.x.extension]\ncompression = "gzip"\n'
        ),
        (
            "7:1 erofs cannot be compressed with `gzip` | it knows `lz4`, `lz4hc`, `lzma`, "
            "`deflate`, `libdeflate`, `zstd`"
        ),
    ),
    "what was inherited, told once": (
        EROFS + 'compression = "zsdt"\n[image.b]\nfrom = "a"\noutputs = ["disk"]\n',
        "5:1 erofs cannot be compressed with `zsdt` | did you mean `zstd`?",
    ),
    "what another file system takes that was inherited": (
        EROFS + 'compression = "lz4"\n[image.b]\nfrom = "a"\noutputs = ["disk"]\n'
        'disk = { filesystem = "btrfs" }\n',
        "9:1 btrfs cannot be compressed with `lz4` | it knows `zstd`",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_no_maker_knows_is_told_before_it_is_asked(text: str, said: str) -> None:
    assert mistakes(text) == [said]


@pytest.mark.parametrize(
    "text",
    [
        *(
            EROFS + f'compression = "{one}"\n'
            for one in (
                "lz4",
                "lz4hc,12",
                "zstd,level=9,dictsize=65536",
                "lzma,109",
                "lz4:lz4hc,9",
                "",
            )
        ),
        DISK + 'filesystem = "btrfs"\ncompression = "zstd,15"\n',
        '[image.a]\noutputs = ["oci"]\n[image.a.disk]\ncompression = "lz4"\n',
    ],
)
def test_what_makers_know_is_well(text: str) -> None:
    assert parse(text, file="osloom.toml").image["a"].outputs
