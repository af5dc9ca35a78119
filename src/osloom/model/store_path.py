"""Names of store paths: what Nix takes for one, and the names of what is addressed by content.

https://nix.dev/manual/nix/stable/store/store-path and protocols/store-path: the hash part is 20
bytes, folded from the SHA-256 of a text that says what kind of thing it is, of which content, in
which store, and of which name.
"""

import hashlib
from collections.abc import Sequence

from osloom.base.digest import Digest, to_hex
from osloom.base.errors import Error, FetchError
from osloom.model.closure import STORE, StorePath
from osloom.model.nix32 import decode32, encode32

HASH_LENGTH = 32
"""Digits of the hash part."""
_NAME_LENGTH = 211
"""Bytes after the hash part and its dash: a file name has 255, and Nix appends `.lock` and more."""
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-._?=")
_ALGORITHMS = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
"""And the bytes of their digests."""


def parse_store_path(text: str) -> str:
    """The base name of the store path `text`, which is the path itself or a base name.

    Raises Error for what Nix would not take for one.
    """
    name = text.removeprefix(f"{STORE}/")
    problem = _problem(name)
    if problem:
        raise Error(
            f"cannot use `{_short(text)}` as a store path: {problem}",
            hint=f"a store path is `{STORE}/`, {HASH_LENGTH} digits of Nix's base 32, `-` and a name",
        )
    return name


def _problem(name: str) -> str | None:
    if "/" in name:
        return f"it is not directly below {STORE}"
    if len(name) < HASH_LENGTH + 2 or name[HASH_LENGTH] != "-":
        return f"it does not start with {HASH_LENGTH} digits and `-`"
    try:
        decode32(name[:HASH_LENGTH])
    except ValueError as error:
        return str(error)
    return name_problem(name[HASH_LENGTH + 1 :])


def name_problem(name: str) -> str | None:
    """What is wrong with the name after the hash part; None where Nix allows it."""
    if not name:
        return "it has no name"
    if len(name) > _NAME_LENGTH:
        return f"its name has {len(name)} characters, and at most {_NAME_LENGTH} are allowed"
    if not _LETTERS.issuperset(name):
        letter = next(letter for letter in name if letter not in _LETTERS)
        return f"its name has {letter!r} in it"
    # As Nix has it since 2.20: `.` and `..` mean directories, also before the first dash.
    if name.partition("-")[0] in (".", ".."):
        return "its name starts with a `.` or `..` of its own"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


def hash_part(name: str) -> str:
    """The 32 digits that a base name starts with: how a binary cache calls the path."""
    return name[:HASH_LENGTH]


def name_part(name: str) -> str:
    """What a base name has after its hash part and the dash."""
    return name[HASH_LENGTH + 1 :]


def make_store_path(kind: str, digest: Digest, name: str) -> str:
    """The base name of a thing of `kind` (`source`, `text:…`, `output:out`) and of content `digest`.

    Raises Error when `name` is none.
    """
    problem = name_problem(name)
    if problem:
        raise Error(f"cannot make a store path of `{_short(name)}`: {problem}")
    full = hashlib.sha256(f"{kind}:{digest}:{STORE}:{name}".encode()).digest()
    folded = bytearray(20)
    for place, byte in enumerate(full):
        folded[place % 20] ^= byte
    return f"{encode32(bytes(folded))}-{name}"


def make_fixed_path(
    name: str,
    content_address: str,
    references: Sequence[str] = (),
    *,
    refers_to_itself: bool = False,
) -> str:
    """The base name that a thing called `name` with this content address has.

    `references` are base names of other paths. Raises Error where Nix allows no such address.
    """
    method, algorithm, digest = parse_content_address(content_address)
    others = sorted(references)
    if method == "text":
        if algorithm != "sha256" or refers_to_itself:
            raise Error(
                f"cannot use the content address `{content_address}`: a text is addressed by "
                "SHA-256 and does not refer to itself"
            )
        return make_store_path(_kind("text", others), Digest(f"sha256:{digest}"), name)
    if method == "r" and algorithm == "sha256":
        kind = _kind("source", others) + (":self" if refers_to_itself else "")
        return make_store_path(kind, Digest(f"sha256:{digest}"), name)
    if others or refers_to_itself:
        raise Error(
            f"cannot use the content address `{content_address}`: only `fixed:r:sha256` and `text` "
            "paths may refer to others"
        )
    inner = f"fixed:out:{'r:' if method == 'r' else ''}{algorithm}:{digest}:"
    return make_store_path(
        "output:out", Digest(f"sha256:{hashlib.sha256(inner.encode()).hexdigest()}"), name
    )


def _kind(word: str, references: Sequence[str]) -> str:
    return ":".join([word, *(f"{STORE}/{one}" for one in references)])


def parse_content_address(text: str) -> tuple[str, str, str]:
    """Method (`flat`, `r` of the NAR, `text`), algorithm and digest in hexadecimal.

    Of `fixed:sha256:…`, `fixed:r:sha256:…`, `text:sha256:…`, the digest in Nix's base 32 or in
    hexadecimal. Raises Error for all else.
    """
    kind, _, rest = text.partition(":")
    method = {"text": "text", "fixed": "flat"}.get(kind)
    if kind == "fixed" and rest.startswith("r:"):
        method, rest = "r", rest[2:]
    algorithm, _, digits = rest.partition(":")
    size = _ALGORITHMS.get(algorithm)
    if method is None or size is None:
        raise Error(
            f"cannot use the content address `{_short(text)}`: it is of no kind that osloom knows",
            hint="known are `fixed:r:sha256:…`, `fixed:sha256:…` and `text:sha256:…`, and `fixed` "
            "with md5, sha1 and sha512",
        )
    try:
        found = bytes.fromhex(digits) if len(digits) == 2 * size else decode32(digits)
    except ValueError:
        found = b""
    if len(found) != size:
        raise Error(
            f"cannot use the content address `{_short(text)}`: `{_short(digits)}` is not a digest "
            f"of {algorithm}"
        )
    return method, algorithm, found.hex()


def check_content_address(path: StorePath) -> None:
    """Whether `path` has the name that its content address gives, and its NAR that content.

    Where the address is not of the NAR as it is (`fixed:sha256`, `text`, another algorithm, or a
    path that refers to itself), `sources.nix.content.check_content` has to look at the content
    as well. Raises FetchError.
    """
    assert path.content_address is not None
    others = [name for name in path.references if name != path.name]
    itself = len(others) != len(path.references)
    try:
        made = make_fixed_path(
            name_part(path.name), path.content_address, others, refers_to_itself=itself
        )
        method, algorithm, digest = parse_content_address(path.content_address)
    except Error as error:
        raise FetchError(f"cannot trust {path.path}: {error.message}", hint=error.hint) from error
    if made != path.name:
        raise FetchError(
            f"cannot trust {path.path}: its content address `{path.content_address}` belongs to "
            f"{STORE}/{made}",
            hint="the cache that says so is broken or lies: do not use it",
        )
    of_the_nar = method == "r" and algorithm == "sha256" and not itself
    if of_the_nar and digest != to_hex(path.nar_hash):
        raise FetchError(
            f"cannot trust {path.path}: its content address `{path.content_address}` is of another "
            f"content than its NAR hash {path.nar_hash}",
            hint="the cache that says so is broken or lies: do not use it",
        )
