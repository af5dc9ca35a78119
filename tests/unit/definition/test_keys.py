"""What a definition may say of keys, and that no image takes one with it."""

import re
from pathlib import Path

import pytest

from osloom.base.errors import DefinitionError
from osloom.definition.load import parse
from osloom.model.providers import Key, Keys

IMAGE = "\n[image.a]\n"


def test_keys_are_paths_uris_and_commands() -> None:
    text = """\
    [keys]
    directory = "keys"
    verity = "pkcs11:token=release;object=verity"
    secure-boot = { command = ["sign-it", "db"], certificate = "db.crt" }
    """
    assert parse(text + IMAGE, file="osloom.toml").keys == Keys(
        directory="keys",
        verity="pkcs11:token=release;object=verity",
        secure_boot=Key(command=("sign-it", "db"), certificate="db.crt"),
    )


def test_the_examples_of_the_page_are_right() -> None:
    page = (Path(__file__).parents[3] / "docs/keys.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found = [parse(text + IMAGE, file="keys.md").keys for text in examples]
    assert len(found) == 4
    assert Keys() not in found


WRONG = {
    '[keys]\nverity = { certificate = "a" }': (
        "2:1 `verity` has neither `key` nor `command` | give one of the two"
    ),
    '[keys]\nrelease = { key = "a", command = ["b"] }': (
        "2:1 `release` has both `key` and `command` | give one of the two"
    ),
    '[keys]\nverity = "pkcs11:tokn=a"': (
        "2:1 cannot read the PKCS#11 URI `pkcs11:tokn=a`: `tokn=a` is not one of its attributes"
        " | did you mean `token`?"
    ),
    '[keys]\nsecureboot = "a"': "2:1 unknown key `secureboot` | did you mean `secure-boot`?",
    '[keys]\nfolder = "a"': (
        "2:1 unknown key `folder` | known keys: directory, release, verity, secure-boot"
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_said_with_its_place(text: str) -> None:
    assert refused(text + IMAGE) == WRONG[text]


@pytest.mark.parametrize(
    ("keys", "source"),
    [
        ('directory = "keys"', "."),
        ('directory = "keys"', "keys"),
        ('directory = "keys"', "keys/deep/release.key"),
        ('release = "keys/deep/release.key"', "keys/deep"),
        ('release = { key = "link.key" }', "keys"),
    ],
)
def test_no_image_takes_a_private_key(tmp_path: Path, keys: str, source: str) -> None:
    (tmp_path / "keys/deep").mkdir(parents=True)
    (tmp_path / "keys/deep/release.key").touch()
    (tmp_path / "keys/deep/release.pub").touch()
    (tmp_path / "link.key").symlink_to("keys/deep/release.key")
    text = f'[keys]\n{keys}\n[image.a.files]\n"/app" = "{source}"\n'
    assert refused(text, tmp_path) == (
        "4:1 the source would put the private key release.key into the image"
        " | name what the image needs, or move the keys elsewhere"
    )
    public = text.replace(f'= "{source}"', '= "keys/deep/release.pub"')
    assert parse(public, file="osloom.toml", directory=tmp_path).image["a"].files


@pytest.mark.parametrize(
    ("secure_boot", "source", "named"),
    [
        ('"boot/db.key"', "boot/PK.key", "PK.key"),
        ('"boot/db.key"', "boot/KEK.key", "KEK.key"),
        ('{ key = "pkcs11:token=a", certificate = "boot/db.crt" }', "boot/KEK.key", "KEK.key"),
        ('{ command = ["sign"], certificate = "boot/db.crt" }', "boot", "PK.key"),
        ('"pkcs11:token=a?pin-source=secret/pin"', "secret", "pin"),
        ('{ key = "pkcs11:token=a?pin-source=file:secret/pin" }', "secret/pin", "pin"),
    ],
)
def test_no_image_takes_what_lies_above_or_opens_a_key(
    tmp_path: Path, secure_boot: str, source: str, named: str
) -> None:
    for name in ("boot/db.key", "boot/db.crt", "boot/PK.key", "boot/KEK.key", "secret/pin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    text = f'[keys]\nsecure-boot = {secure_boot}\n[image.a.files]\n"/app" = "{source}"\n'
    said = refused(text, tmp_path)
    assert said.startswith("4:1 the source would put the private key ")
    assert f"key {named} into the image" in said or source == "boot"


def test_a_uri_that_is_wrong_is_one_mistake(tmp_path: Path) -> None:
    text = '[keys]\nverity = "pkcs11:tokn=a"\n[image.a.files]\n"/app" = "."\n'
    assert refused(text, tmp_path).startswith("2:1 cannot read the PKCS#11 URI")


def refused(text: str, directory: Path | None = None) -> str:
    with pytest.raises(DefinitionError) as caught:
        parse(text, file="osloom.toml", directory=directory)
    where = caught.value.where
    assert where is not None
    return f"{where.line}:{where.column} {caught.value.message} | {caught.value.hint}"
