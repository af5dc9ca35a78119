"""What types cannot say of containers: settings that only an application has, and architectures."""

from collections.abc import Iterator

from osloom.definition.check import Mistake, Path
from osloom.model.definition import Image
from osloom.model.values import NONROOT


def check_container(image: Image, path: Path) -> Iterator[Mistake]:
    """Every mistake that the text of the image itself shows, before `from` is followed."""
    yield from _check_architectures(image, path)
    others = [one for one in image.outputs if one != "oci"]
    for key in ("service", "keep", "debug_of"):
        if getattr(image, key) is None:
            continue
        if key == "keep" and image.is_extension:
            continue
        said = f"`{key.replace('_', '-')}` is for a container of an application"
        if image.configure == "dpkg" and key != "service":
            yield Mistake((*path, key.replace("_", "-")), said, 'leave `configure = "dpkg"` out')
        elif others and (key != "service" or "oci" not in image.outputs):
            yield Mistake(
                (*path, key.replace("_", "-")), said, f"leave `{others[0]}` out of `outputs`"
            )
    if image.oci.debug and image.outputs and "oci" not in image.outputs:
        said = "there is no container to debug"
        yield Mistake((*path, "oci", "debug"), said, 'add `"oci"` to `outputs`')
    yield from _check_home(image, (*path, "oci", "home"))
    for number, one in enumerate(image.oci.volumes):
        place = (*path, "oci", "volumes", number)
        if ".." in one.split("/"):
            yield Mistake(place, f"`{one}` must not have `..` in it", "write the path it leads to")
        elif not one.strip("/."):
            yield Mistake(place, "the whole image cannot be a volume", "name a directory")


def _check_home(image: Image, path: Path) -> Iterator[Mistake]:
    user = (image.oci.user or NONROOT).partition(":")[0]
    if image.oci.home is None or user == NONROOT:
        return
    hint = "leave one of them out"
    if user in image.users:
        hint = f"say `home` in the table of the user `{user}`"
    yield Mistake(path, f"`home` is of the user `{NONROOT}`, and `user` is `{user}`", hint)


def _check_architectures(image: Image, path: Path) -> Iterator[Mistake]:
    several = (*path, "architectures")
    if not image.architectures:
        return
    if image.architecture is not None:
        said = "the image has both `architecture` and `architectures`"
        yield Mistake(several, said, "keep one of them")
    for number, one in enumerate(image.architectures):
        if one in image.architectures[:number]:
            yield Mistake((*several, number), f"`{one}` is there twice", "keep one")
    others = [one for one in image.outputs if one != "oci"]
    if others:
        said = f"`{others[0]}` is for one architecture"
        yield Mistake(several, said, "make an image of its own for each, with `architecture`")
