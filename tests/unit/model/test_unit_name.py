import pytest

from osloom.model.unit_name import escape_path


# What `systemd-escape --path` of systemd 257 says.
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "-"),
        ("/dev/mapper/data", "dev-mapper-data"),
        ("//dev//disk/by-partuuid/1a-2b/", r"dev-disk-by\x2dpartuuid-1a\x2d2b"),
        ("/.hidden/a.b", r"\x2ehidden-a.b"),
        ("/a b:c_d", r"a\x20b:c_d"),
        ("/é", r"\xc3\xa9"),
    ],
)
def test_paths_are_named_as_systemd_names_them(path: str, name: str) -> None:
    assert escape_path(path) == name
