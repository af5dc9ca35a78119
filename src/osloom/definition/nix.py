"""What types cannot say of Nix: installables, caches, and keys that a NixOS system leaves no room for.

Looks at complete images: what an image inherits can contradict what it says itself.
"""

from collections.abc import Iterator

from osloom.base.errors import Error, nearest
from osloom.definition.check import Mistake, Path
from osloom.model.closure import STORE, is_flake
from osloom.model.definition import Definition, Image
from osloom.model.providers import Nix
from osloom.model.store_path import parse_store_path
from osloom.model.values import SYSTEMS

_BESIDE_NIXOS = (
    *("nixos", "nix", "architecture", "architectures", "kernel_command_line", "test", "outputs"),
    *("files", "oci", "nspawn", "tar", "disk", "update", "health"),
)
"""What an image may say though it is a NixOS system, which says all else itself."""


def check_nix(definition: Definition) -> Iterator[Mistake]:
    """Every mistake of a complete definition; what an image has only inherited is told once."""
    yield from _check_caches(definition.nix)
    yield from _check_overrides(definition)
    wrong: set[str] = set()
    for name, image in definition.image.items():
        mistakes = list(_check_image(image, definition.nix, ("image", name)))
        if mistakes:
            wrong.add(name)
        if image.from_ not in wrong:
            yield from mistakes


def _check_caches(nix: Nix) -> Iterator[Mistake]:
    seen: set[str] = set()
    for number, cache in enumerate(nix.cache):
        path: Path = ("nix", "cache", number)
        if cache.url in seen:
            yield Mistake((*path, "url"), f"the cache `{cache.url}` is there twice", "keep one")
        seen.add(cache.url)
        is_trusted = (
            cache.url.startswith("file://") or "trusted=true" in cache.url.partition("?")[2]
        )
        if not cache.keys and not is_trusted:
            said = f"the cache `{cache.url}` has no keys, so nothing of it could be trusted"
            yield Mistake(path, said, "add `keys`: whoever runs it says what its public key is")


def _check_overrides(definition: Definition) -> Iterator[Mistake]:
    if definition.nix.overrides and not any(
        is_flake(one) for image in definition.image.values() for one in image.installables
    ):
        said = "no image takes anything from a flake, and `overrides` are for inputs of flakes"
        yield Mistake(("nix", "overrides"), said, "leave it out")


def _check_image(image: Image, nix: Nix, path: Path) -> Iterator[Mistake]:
    for number, one in enumerate(image.nix.packages):
        yield from _check_installable(one, image, (*path, "nix", "packages", number))
    if image.nixos is not None:
        yield from _check_installable(image.nixos, image, (*path, "nixos"))
        yield from _check_beside_nixos(image, path)
    if image.installables and nix.system is not None:
        yield from _check_system(nix.system, image, path[-1])
    if image.nix.installed and not image.installables:
        said = "`installed` is for an image that takes packages from Nix"
        yield Mistake((*path, "nix", "installed"), said, "add `packages` to the table `nix`")
    if image.nix.writable and image.nixos is not None:
        said = "`writable` cannot be beside `nixos`, which says all of the image"
        hint = "say in the configuration of the system what is mounted at /nix"
        yield Mistake((*path, "nix", "writable"), said, hint)
    elif image.nix.writable and image.outputs == ("oci",):
        said = "`writable` is for a machine, and the image is only a container"
        hint = "leave it out: what a container writes is above its layers anyway"
        yield Mistake((*path, "nix", "writable"), said, hint)
    for number, one in enumerate(image.remove if image.nix.packages else ()):
        if f"{one}/".startswith(f"{STORE}/"):
            said = f"`{one}` is in the store of Nix, where each path is whole or not there"
            yield Mistake((*path, "remove", number), said, "leave a package out of `nix` instead")
    if image.debug_of is not None and image.nix.packages:
        said = "the tools of a debug variant are packages of Debian"
        yield Mistake((*path, "nix"), said, "name them in `packages`")


def _check_installable(text: str, image: Image, path: Path) -> Iterator[Mistake]:
    if not is_flake(text):
        yield from _check_store_path(text, path)
        if image.architectures:
            said = f"`{text}` is for one machine, and the image is for several"
            hint = "name a flake, which is evaluated for each, or keep one of `architectures`"
            yield Mistake(path, said, hint)
        return
    flake, sign, attribute = text.partition("#")
    if not sign:
        said = f"`{text}` is neither a flake with an attribute nor a store path"
        hint = "write `FLAKE#ATTRIBUTE`"
        if flake.replace("-", "").replace("_", "").isalnum():
            hint = f"did you mean `nixpkgs#{flake}`?"
        yield Mistake(path, said, hint)
    elif flake.startswith("-"):
        yield Mistake(path, f"`{flake}` is no flake", "write `FLAKE#ATTRIBUTE`")
    elif not attribute or not flake:
        missing = "attribute" if flake else "flake"
        example = f"{flake or '.'}#{attribute or 'default'}"
        yield Mistake(path, f"`{text}` names no {missing}", f"write it as in `{example}`")


def _check_store_path(text: str, path: Path) -> Iterator[Mistake]:
    top = "/".join(text.split("/")[:4])
    try:
        parse_store_path(text)
    except Error as error:
        hint = error.hint
        if text != top and text.startswith(f"{STORE}/") and _is_store_path(top):
            hint = f"did you mean `{top}`?"
        yield Mistake(path, error.message, hint)
        return
    if text.endswith(".drv"):
        said = f"`{text}` is a derivation, and not what it builds"
        yield Mistake(path, said, "name the path that `nix-store --realise` gives for it")


def _is_store_path(text: str) -> bool:
    try:
        parse_store_path(text)
    except Error:
        return False
    return True


def _check_beside_nixos(image: Image, path: Path) -> Iterator[Mistake]:
    default = Image()
    for field in image.__struct_fields__:
        given = getattr(image, field)
        # To share tests and settings with others is fine, and no script would run anyway.
        is_fine = given == "none" if field == "configure" else field == "from_" and not image.base
        if field not in _BESIDE_NIXOS and not is_fine and given != getattr(default, field):
            key = "from" if field == "from_" else field.replace("_", "-")
            said = f"`{key}` cannot be beside `nixos`, which says all of the image"
            yield Mistake((*path, key), said, "say it in the configuration of the system")
    if image.nix.packages:
        said = "`nix` packages cannot be beside `nixos`, which says all of the image"
        hint = "add them to `environment.systemPackages` of the system"
        yield Mistake((*path, "nix", "packages"), said, hint)
    if image.oci.debug:
        said = "a NixOS system has no debug variant: its systemd has to be the first process"
        hint = "leave it out; `osloom shell` brings the tools"
        yield Mistake((*path, "oci", "debug"), said, hint)


def _check_system(system: str, image: Image, name: str | int) -> Iterator[Mistake]:
    architectures = image.architectures or (image.architecture or "amd64",)
    for architecture in architectures:
        if system not in SYSTEMS[architecture]:
            said = f"`system` is `{system}`, and the image `{name}` is for {architecture}"
            hint = "leave `system` out: each image's own is taken"
            close = nearest(system, SYSTEMS[architecture])
            if close and not any(system in others for others in SYSTEMS.values()):
                hint = f"did you mean `{close[0]}`? It may be left out"
            yield Mistake(("nix", "system"), said, hint)
            return
