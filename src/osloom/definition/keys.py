"""What types cannot say of `[keys]`, and that no image takes a private key with it."""

from collections.abc import Iterator
from pathlib import Path

from osloom.base.errors import DefinitionError
from osloom.definition.check import Mistake
from osloom.definition.check import Path as KeyPath
from osloom.model.definition import Definition
from osloom.model.efi_variable import VARIABLES
from osloom.model.pkcs11_uri import SCHEME, parse_uri
from osloom.model.providers import Key, Keys


def check_keys(keys: Keys) -> Iterator[Mistake]:
    """Every mistake that the text alone shows."""
    for name, one in _named(keys).items():
        path: KeyPath = ("keys", name)
        if isinstance(one, Key) and (one.key is None) == (not one.command):
            both = "both `key` and" if one.command else "neither `key` nor"
            yield Mistake(path, f"`{name}` has {both} `command`", "give one of the two")
        written = one if isinstance(one, str) else one.key if one is not None else None
        if written is not None and written.startswith(SCHEME):
            yield from _check_uri(written, path if isinstance(one, str) else (*path, "key"))


def _check_uri(uri: str, path: KeyPath) -> Iterator[Mistake]:
    try:
        parse_uri(uri)
    except DefinitionError as error:
        yield Mistake(path, error.message, error.hint)


def _named(keys: Keys) -> dict[str, str | Key | None]:
    return {"release": keys.release, "verity": keys.verity, "secure-boot": keys.secure_boot}


def private_keys(definition: Definition, directory: Path) -> tuple[Path, ...]:
    """The files with private keys, and with PINs of tokens, that are there; symbolic links
    followed. Beside the certificate of `db` those above it may lie."""
    keys = definition.keys
    named = {name: one for name, one in _named(keys).items() if one is not None}
    found = [one.key if isinstance(one, Key) else one for one in named.values()]
    paths = [directory / one for one in found if one and not one.startswith(SCHEME)]
    paths += [directory / pin for one in found if one and (pin := _pin_source(one)) is not None]
    if "secure-boot" in named:
        paths += [directory / one for one in _above(named["secure-boot"])]
    if keys.directory is not None:
        place = directory / keys.directory
        paths += [*place.glob("*.key"), *place.glob("*/*.key")]
    return tuple(dict.fromkeys(path.resolve() for path in paths if _is_file(path)))


def _pin_source(key: str) -> str | None:
    """The file with the PIN that a URI names, as `keys.token` reads it."""
    try:
        source = parse_uri(key).pin_source if key.startswith(SCHEME) else None
    except DefinitionError:  # which is a mistake of its own
        return None
    return source and source.removeprefix("file://").removeprefix("file:")


def _above(db: str | Key) -> Iterator[Path]:
    """The private keys above that of `db`, by the names that `osloom keys new` gives."""
    one = Key(key=db) if isinstance(db, str) else db
    beside = [one.certificate, None if one.key and one.key.startswith(SCHEME) else one.key]
    for path in filter(None, beside):
        yield from (Path(path).parent / f"{name}.key" for name in VARIABLES[:-1])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # what no system can have as a path
        return False


def check_source(source: Path, private: tuple[Path, ...], path: KeyPath) -> Iterator[Mistake]:
    """Whether what is put into an image has one of the keys `private` in it."""
    place = source.resolve()
    for key in private:
        if key.is_relative_to(place):
            said = f"the source would put the private key {key.name} into the image"
            yield Mistake(path, said, "name what the image needs, or move the keys elsewhere")
            return
