"""Bases in the lockfile."""

from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.model.lock import Base, BaseLayer, Lock, LockedImage
from osloom.sources.debian.lockfile import dump, load, save


def digest(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


def image(**fields: str) -> LockedImage:
    return LockedImage(
        request=digest(1),
        requested=(),
        suite="trixie",
        architecture="amd64",
        packages=(),
        **fields,
    )


LAYER = BaseLayer(
    digest=digest(5),
    size=7,
    media_type="application/vnd.oci.image.layer.v1.tar+gzip",
    diff_id=digest(6),
)
BASE = Base(
    reference="oci:registry.example.com/team/base:1",
    architecture="amd64",
    index=digest(2),
    manifest=digest(3),
    config=digest(4),
    config_size=6,
    layers=(LAYER,),
)
LOCK = Lock(
    epoch=1,
    repositories=(),
    packages=(),
    images={"app": image(base=BASE.id), "plain": image()},
    bases=(BASE, msgspec.structs.replace(BASE, architecture="arm64")),
)


def test_a_base_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    save(LOCK, tmp_path / "osloom.lock")
    found = load(tmp_path / "osloom.lock")
    assert found == LOCK
    assert found.base_of("app") == BASE
    assert found.base_of("plain") is None
    assert sum('"reference"' in line for line in dump(LOCK).splitlines()) == 2


def test_a_lock_without_bases_says_nothing_of_them(tmp_path: Path) -> None:
    plain = msgspec.structs.replace(LOCK, images={"plain": image()}, bases=())
    assert "base" not in dump(plain)
    save(plain, tmp_path / "osloom.lock")
    assert load(tmp_path / "osloom.lock") == plain


def test_a_base_that_is_not_in_the_lock_is_none() -> None:
    assert msgspec.structs.replace(LOCK, bases=()).base_of("app") is None
