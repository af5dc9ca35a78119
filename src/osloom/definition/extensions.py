"""What types cannot say of extensions: what they extend, what they cannot have, where files may be.

Looks at complete images: what an image inherits can contradict what it says itself.
"""

import posixpath
from collections.abc import Iterator, Mapping

from osloom.base.errors import nearest
from osloom.definition.check import Mistake, Path
from osloom.model.definition import Definition, Image, Systemd
from osloom.model.extension import EXTENSIONS, PLACES
from osloom.model.fetched import url_beside

_HOLDERS = {place: kind for kind, places in PLACES.items() for place in places}
"""The output that holds what is below each directory of the root."""
_ELSEWHERE = {
    "hostname": "say it in the image that is extended",
    "locale": "say it in the image that is extended",
    "timezone": "say it in the image that is extended",
    "sysctl": "put a file below /usr/lib/sysctl.d or /etc/sysctl.d into `files`",
    "users": "make them in the image that is extended: accounts are there before extensions",
    "groups": "make them in the image that is extended: accounts are there before extensions",
    "script": "put what it would make into `files`",
    "service": "name the unit in `systemd.enable`",
    "nix": "say it in the image that is extended",
    "nixos": "an extension is of packages and files",
    "debug_of": "make an image of its own for it",
    "architectures": "make an image of its own for each, with `architecture`",
    "kernel_command_line": "say it in the image that is extended",
}
"""What an extension cannot have, and what to do instead."""


def check_extensions(definition: Definition) -> Iterator[Mistake]:
    """Every mistake of a complete definition; what an image has only inherited is told once."""
    wrong: set[str] = set()
    for name, image in definition.image.items():
        mistakes = list(_check_image(name, image, definition.image))
        if mistakes:
            wrong.add(name)
        if image.from_ not in wrong:
            yield from mistakes


def _check_image(name: str, image: Image, images: Mapping[str, Image]) -> Iterator[Mistake]:
    path: Path = ("image", name)
    yield from _check_fetched(name, image, images)
    if image.extends is not None:
        yield from _check_extended(name, image, images, (*path, "extends"))
    if not image.is_extension:
        if image.outputs and image.extends is not None:
            said = "`extends` is for the outputs `sysext` and `confext`"
            yield Mistake((*path, "extends"), said, "add one of them to `outputs`")
        return
    for number, one in enumerate(image.outputs):
        if one not in EXTENSIONS:
            said = f"`{one}` cannot be made of an extension, which is no whole system"
            hint = "make an image of its own for it"
            yield Mistake((*path, "outputs", number), said, hint)
    default = Image()
    for field, hint in _ELSEWHERE.items():
        if getattr(image, field) != getattr(default, field):
            said = f"an extension cannot have `{field.replace('_', '-')}`"
            yield Mistake((*path, field.replace("_", "-")), said, hint)
    if image.configure == "dpkg":
        said = "packages cannot be configured in an extension, which is read-only"
        yield Mistake((*path, "configure"), said, "leave it out")
    if image.base is not None:
        said = "an extension does not start from an image of a registry"
        yield Mistake((*path, "from"), said, "let `extends` name an image that does")
    yield from _check_units(image, path)
    for place in image.files:
        yield from _check_place(place, image, (*path, "files", place))


def _check_extended(
    name: str, image: Image, images: Mapping[str, Image], path: Path
) -> Iterator[Mistake]:
    extended = images.get(image.extends or "")
    said = hint = None
    if extended is None or image.extends == name:
        others = [one for one in images if one != name and not images[one].is_extension]
        close = nearest(image.extends or "", others)
        said = f"cannot find the image `{image.extends}`"
        hint = f"did you mean `{close[0]}`?" if close else None
        if image.extends == name:
            said = "an image cannot extend itself"
    elif extended.is_extension or extended.extends is not None:
        said = f"`{image.extends}` is an extension itself"
        hint = f"extend `{extended.extends}`" if extended.extends else "extend a whole system"
    elif extended.nixos is not None:
        said = f"`{image.extends}` is a NixOS system, and an extension is of packages of Debian"
        hint = "add what it needs to the configuration of the system"
    elif extended.architectures or extended.debug_of is not None:
        said = f"`{image.extends}` is only a container"
        hint = "extend an image that boots"
    elif (image.architecture or "amd64") != (extended.architecture or "amd64"):
        said = f"`{image.extends}` is for {extended.architecture or 'amd64'}, and `{name}` is not"
        hint = "leave `architecture` out: that of the extended image is taken"
    if said is not None:
        yield Mistake(path, said, hint)


def _check_units(image: Image, path: Path) -> Iterator[Mistake]:
    for key in ("disable", "mask", "default_target"):
        if getattr(image.systemd, key) != getattr(Systemd(), key):
            said = f"an extension cannot have `{key.replace('_', '-')}`: it only adds"
            hint = "say it in the image that is extended"
            yield Mistake((*path, "systemd", key.replace("_", "-")), said, hint)
    if image.systemd.enable and "sysext" not in image.outputs:
        said = "units are started by a `sysext`"
        yield Mistake((*path, "systemd", "enable"), said, "add `sysext` to `outputs`")


def _check_place(place: str, image: Image, path: Path) -> Iterator[Mistake]:
    plain = posixpath.normpath(place).strip("/")
    top = plain.partition("/")[0]
    holder = _HOLDERS.get(top)
    if holder in image.outputs:
        if plain in ("usr/lib/os-release", "etc/os-release"):
            said = f"`{place}` would take the place of the system's own"
            yield Mistake(path, said, "leave it out: what the extension is of is written anyway")
        return
    held = [f"/{one}" for one, kind in _HOLDERS.items() if kind in image.outputs]
    said = f"`{place}` would not be seen: only what is below {' or '.join(held)} is merged"
    hint = f"put it below {' or '.join(held)}"
    if holder is not None:
        hint = f"add `{holder}` to `outputs`"
    elif top in ("var", "run", "tmp"):
        hint = "let a file below /usr/lib/tmpfiles.d make it, tmpfiles.d(5)"
    yield Mistake(path, said, hint)


def _check_fetched(name: str, image: Image, images: Mapping[str, Image]) -> Iterator[Mistake]:
    """What the devices of an appliance are to take from the channel beside it."""
    path: Path = ("image", name, "update", "extensions")
    if not image.update.extensions or "disk" not in image.outputs:
        return
    if not image.disk.is_appliance:
        said = "only the devices of an appliance fetch extensions"
        yield Mistake(path, said, 'write `layout = "appliance"` into its table `disk`')
        return
    if image.nixos is not None:
        said = "a NixOS system takes no extensions"
        yield Mistake(path, said, "add what it needs to the configuration of the system")
        return
    levels: dict[str, tuple[str, str]] = {}
    for number, one in enumerate(image.update.extensions):
        place: Path = (*path, number)
        extension = images.get(one)
        if extension is None or not extension.is_extension:
            close = nearest(one, [each for each in images if images[each].is_extension])
            said = f"`{one}` is no extension" if extension else f"cannot find the image `{one}`"
            yield Mistake(place, said, f"did you mean `{close[0]}`?" if close else None)
        elif extension.extends is not None and extension.extends not in _line(name, images):
            said = f"`{one}` extends `{extension.extends}`, and not `{name}`"
            hint = f'write `extends = "{name}"` there, or leave it out here'
            yield Mistake(place, said, hint)
        elif not (extension.update.url or url_beside(image.update.url or "", one)):
            said = f"devices could not tell where to look for `{one}`"
            hint = f"give a `url` to the table `update` of `{name}` that ends with a directory"
            yield Mistake(place, said, hint)
        elif extension.extension.level is not None:
            for kind in extension.outputs:
                other, level = levels.setdefault(kind, (one, extension.extension.level))
                if level != extension.extension.level:
                    said = f"`{one}` and `{other}` are of different levels: no system takes both"
                    yield Mistake(place, said, "give them the same `level`")


def _line(name: str, images: Mapping[str, Image]) -> Iterator[str]:
    """The image, and those that it starts from: it has all that they have."""
    while name in images:
        yield name
        name = images[name].from_ or ""
