"""Extensions that the devices of an appliance take from its channel, and where they find them."""

from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import msgspec

from osloom.model.definition import Definition, Image


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """One extension."""

    name: str
    """As devices call it, without a version."""
    id: str
    """Of its releases: `PROJECT-NAME`."""
    url: str
    """The directory of its releases; ends with `/`."""
    kinds: tuple[str, ...]
    """`sysext`, `confext` or both."""
    level: str | None = None
    """What SYSEXT_LEVEL or CONFEXT_LEVEL of the system has to be; else VERSION_ID is compared."""


def fetched_by(definition: Definition, image: Image) -> tuple[Fetched, ...]:
    """What `image` names in `update.extensions`; nothing where no address is known."""
    found = []
    for name in image.update.extensions:
        one = definition.image[name]
        url = one.update.url or url_beside(image.update.url or "", name)
        if url is not None:
            found.append(
                Fetched(
                    name=name,
                    id=f"{definition.project.name}-{name}",
                    url=f"{url.rstrip('/')}/",
                    kinds=one.outputs,
                    level=one.extension.level,
                )
            )
    return tuple(found)


def url_beside(url: str, name: str) -> str | None:
    """The directory `name` beside the directory `url`; None where that is the root of its host."""
    above, _, own = url.rstrip("/").rpartition("/")
    return f"{above}/{name}/" if own and urlsplit(url).path.strip("/") else None


def is_signed_extension(definition: Definition, name: str) -> bool:
    """Whether the image `name` is an extension for a system that knows who signs root hashes.

    An appliance does; systemd of another refuses what is signed, unless a file says by whom.
    """
    image = definition.image.get(name)
    if image is None or not image.is_extension:
        return False
    if any(name in one.update.extensions for one in definition.image.values()):
        return True
    extended = definition.image.get(image.extends or "", Image())
    return extended.disk.is_appliance or any(
        fnmatchcase(path, f"/{place}/verity.d/*.crt")
        for path in extended.files
        for place in ("etc", "usr/lib")
    )
