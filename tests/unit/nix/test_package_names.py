"""What names of store paths say."""

import pytest

from osloom.model.nix_package import PackageName, parse_package_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("curl-8.9.1", PackageName("curl", "8.9.1")),
        ("curl-8.9.1-bin", PackageName("curl", "8.9.1", "bin")),
        ("nss-cacert-3.108", PackageName("nss-cacert", "3.108")),
        ("glibc-2.40-66-dev", PackageName("glibc", "2.40-66", "dev")),
        ("python3.12-requests-2.32", PackageName("python3.12-requests", "2.32")),
        ("source", PackageName("source")),
        ("hello-man", PackageName("hello", "", "man")),
        ("bin", PackageName("bin")),
        ("a-", PackageName("a-")),
        ("unstable-2025-01-01", PackageName("unstable", "2025-01-01")),
    ],
)
def test_names_are_divided_as_nix_does(name: str, expected: PackageName) -> None:
    assert parse_package_name(f"{'0' * 32}-{name}") == expected
