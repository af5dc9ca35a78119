"""What types cannot say of the compression of file systems: what their makers know.

They would say so themselves, in their own words, in the middle of a build. Looks at complete images:
which file system it is may be inherited.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from osloom.base.errors import nearest
from osloom.base.numbers import to_number
from osloom.definition.check import Mistake, Path
from osloom.model.definition import Definition, Image

_Levels = Mapping[str, Collection[int]]

_EROFS: _Levels = {
    "lz4": (),
    "lz4hc": range(13),
    "lzma": (*range(10), *range(100, 110)),
    "deflate": range(10),
    "libdeflate": range(13),
    "zstd": range(23),
}
"""Methods and their levels, mkfs.erofs(1)."""
_BTRFS: _Levels = {"zstd": range(1, 16)}
"""btrfs(5), section "Compression"; what osloom writes is zstd."""
_DICTIONARY = re.compile(r"dictsize=[0-9]+")
_KNOWN: Mapping[str, _Levels] = {"erofs": _EROFS, "btrfs": _BTRFS}


def check_compression(definition: Definition) -> Iterator[Mistake]:
    """Every mistake of a complete definition; what an image has only inherited is told once."""
    for name, image in definition.image.items():
        parent = definition.image.get(image.from_ or "")
        known = set(_check_image(parent)) if parent is not None else set()
        yield from (
            Mistake(("image", name, *one.path), one.message, one.hint)
            for one in _check_image(image)
            if one not in known
        )


def _check_image(image: Image) -> Iterator[Mistake]:
    """Their paths begin at the image."""
    if image.is_extension and image.extension.compression:
        yield from _check(image.extension.compression, "erofs", ("extension", "compression"))
    if "disk" not in image.outputs or not image.disk.compression:
        return
    place = ("disk", "compression")
    system = "erofs" if image.disk.is_appliance else image.disk.filesystem
    if system not in _KNOWN:
        hint = 'say `filesystem = "erofs"`, or leave it out'
        yield Mistake(place, f"the root is {system}, which is not compressed", hint)
    else:
        yield from _check(image.disk.compression, system, place)


def _check(text: str, system: str, place: Path) -> Iterator[Mistake]:
    """`METHOD`, `METHOD,LEVEL` or `METHOD,level=LEVEL`; of erofs several, with `:` between them."""
    levels = _KNOWN[system]
    for one in text.split(":") if system == "erofs" else (text,):
        method, *options = one.split(",")
        if method not in levels:
            close = nearest(method, list(levels))
            known = ", ".join(f"`{name}`" for name in levels)
            hint = f"did you mean `{close[0]}`?" if close else f"it knows {known}"
            yield Mistake(place, f"{system} cannot be compressed with `{method}`", hint)
            return
        for option in options:
            if system == "erofs" and _DICTIONARY.fullmatch(option):
                continue
            yield from _check_level(option, method, levels[method], place)


def _check_level(
    option: str, method: str, levels: Collection[int], place: Path
) -> Iterator[Mistake]:
    key, _, value = option.rpartition("=")
    number = to_number(value)
    if key not in ("", "level") or number is None:
        said = f"`{option}` says nothing about `{method}`"
        yield Mistake(place, said, "write a level behind the method, as in `zstd,9`")
    elif number not in levels:
        said = f"`{method}` has no level {number}" if levels else f"`{method}` has no levels"
        hint = f"it has those up to {max(levels)}" if levels else "leave it out"
        yield Mistake(place, said, hint)
