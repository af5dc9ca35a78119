"""SHA256SUMS: what a channel holds, by name and digest; systemd-sysupdate reads it so.

A line is 64 hexadecimal digits, a space, a space or `*`, and a name: sha256sum(1), and
systemd-sysupdate's sysupdate-resource.c.
"""

import re
from collections.abc import Mapping

from osloom.base.digest import Digest, from_hex, to_hex
from osloom.base.errors import FetchError

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.gpg"
MOST = 4 << 20
"""Bytes of a SHA256SUMS."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._+~^@-]*"
_LINE = re.compile(rf"([0-9a-f]{{64}}) [ *]({_NAME})")
_VERSION = re.compile(r"_([1-9][0-9]*)(?=[._]|$)")

Sums = Mapping[str, Digest]
"""Digests by the files' names."""


def parse_sums(data: bytes, *, where: str) -> dict[str, Digest]:
    """The lines of a SHA256SUMS. Raises FetchError for what sha256sum(1) would not write."""
    found: dict[str, Digest] = {}
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            said = "it names a file twice" if match else "it is no line of sha256sum(1)"
            raise FetchError(
                f"cannot use {where}: {said} (line {number})",
                hint="something else has written it: publish into a directory of its own",
            )
        found[match[2]] = from_hex(match[1])
    return found


def format_sums(sums: Sums, own: str) -> bytes:
    """As text, by version and name; `own` is the release's id, see `version_of`."""
    ordered = sorted(sums, key=lambda name: (version_of(name, own) or 0, name))
    return "".join(f"{to_hex(sums[name])}  {name}\n" for name in ordered).encode()


def is_name(text: str) -> bool:
    """Whether a file of a channel may be called so: it leads to no other place."""
    return re.fullmatch(_NAME, text) is not None


def version_of(name: str, own: str) -> int | None:
    """The version in a file's name, `ID_VERSION.efi` or `ID_VERSION_UUID.root`; None without one.

    Names of the release `own` begin with it; of others the last number that may be one is taken.
    """
    behind = name.removeprefix(own)
    if behind != name and (found := _VERSION.match(behind)):
        return int(found[1])
    others = _VERSION.findall(name)
    return int(others[-1]) if others else None
