"""What a locked package says of itself."""

import pytest

from osloom.base.digest import digest_bytes
from osloom.model.lock import Package


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pool/main/g/gcc-14/libgcc-s1_14.2.0-19_amd64.deb", "gcc-14"),
        ("pool/updates/main/libx/libxml2/libxml2_2.12_amd64.deb", "libxml2"),
        ("pool/l/lib/x_1_all.deb", "x"),
        ("pool/main/f/x_1_all.deb", "x"),
        ("./x_1_all.deb", "x"),
        ("x_1_all.deb", "x"),
    ],
)
def test_the_pool_says_the_source_of_a_package(path: str, source: str) -> None:
    one = Package(
        name="x",
        version="1",
        architecture="all",
        repository="debian/trixie",
        path=path,
        size=1,
        digest=digest_bytes(b""),
    )
    assert one.source == source
