"""What dpkg and apt find in their databases."""

from osloom.compose.dpkg import marks


def test_apt_is_told_what_only_others_need() -> None:
    assert marks({"libb": "amd64", "liba": "amd64"}) == (
        b"Package: liba\nArchitecture: amd64\nAuto-Installed: 1\n\n"
        b"Package: libb\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    )
    assert marks({}) == b""
