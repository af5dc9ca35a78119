"""Build images and publish them as releases, for the devices that run them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osloom.api.appliance import release_files
from osloom.api.extensions import extension_files
from osloom.api.git import head
from osloom.api.plan import request_of
from osloom.api.project import Project
from osloom.api.session import Session
from osloom.base.errors import UsageError
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.storage import open_storage
from osloom.model.definition import Image
from osloom.model.nix_package import parse_package_name
from osloom.model.size import parse_size
from osloom.release.publish import StorageChannel
from osloom.release.published import Published
from osloom.release.version import Release, ReleasePackage, Room, parse_number

if TYPE_CHECKING:
    from osloom.keys.openpgp import ReleaseSigner
    from osloom.release.registry import RegistryChannel

_REGISTRY = "oci://"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How to publish; what is not given here, the definition says."""

    to: str | None = None
    """The channel."""
    keep: int | None = None
    """Versions that stay in it."""
    unsigned: bool = False
    dry_run: bool = False
    whole: bool = True
    """With the disk for new devices, beside what those in the field fetch."""
    is_key_new: bool = False
    """See `Release`."""
    bounded: bool = True
    """Refuse what devices in the field could not start; a trial of it has to be published."""


def releasable(project: Project, names: tuple[str, ...]) -> dict[str, Image]:
    """The images `names`, or all that can be released. Raises UsageError when there is none."""
    chosen = {name: project.image(name) for name in names} or {
        name: image for name, image in project.definition.image.items() if is_releasable(image)
    }
    hint = 'add `"disk"` to its `outputs`, and `layout = "appliance"` to its table `disk`'
    for name, image in chosen.items():
        if not is_releasable(image):
            raise UsageError(f"cannot release `{name}`: it is no appliance or extension", hint=hint)
    if not chosen:
        raise UsageError(
            "cannot release anything: no image is an appliance or an extension", hint=hint
        )
    return chosen


def is_releasable(image: Image) -> bool:
    """Whether devices can fetch it: an appliance, or an extension."""
    return image.is_extension or (image.disk.is_appliance and "disk" in image.outputs)


def release(
    session: Session, images: Mapping[str, Image], wanted: Wanted, *, now: int
) -> list[Published]:
    """Build `images` and publish each to a directory of its name in the channel.

    `now` is in seconds since 1970, for the key's dates. Raises UsageError when it is not clear
    where to, or who signs; Error and FetchError as `publish` does, for what it would refuse before
    anything is built.
    """
    project = session.project
    own = project.definition.project
    number = parse_number(own.version, own.name)
    session.prepare()
    signer = None if wanted.unsigned else _signer(project, now=now)
    for name in images:
        with _channel(project, name, wanted) as channel:
            channel.check(_id(project, name), number, signer=signer)
    made = []
    for name, image in images.items():
        with _channel(project, name, wanted) as channel:
            hear = _nobody if wanted.dry_run else channel.bring
            release = release_of(session, name, image, whole=wanted.whole, made=hear)
            release = msgspec.structs.replace(
                release,
                room=release.room if wanted.bounded else None,
                is_key_new=wanted.is_key_new,
            )
            made.append(
                channel.publish(
                    release, signer=signer, dry_run=wanted.dry_run, report=session.report
                )
            )
    return made


def _nobody(_: Path) -> None:
    """Nothing is published."""


def release_of(
    session: Session, name: str, image: Image, *, whole: bool, made: Callable[[Path], object]
) -> Release:
    """Build an image, and describe it as a release; `whole` has the disk for new devices, and
    `made` hears of the blobs that are new."""
    project = session.project
    version = project.definition.project.version
    own = _id(project, name)
    room = None
    if image.is_extension:
        files = extension_files(session, name, image, own=own, made=made)
    else:
        request = request_of(session, name, image)
        files = release_files(session, request, whole=whole, made=made)
        assert request.appliance is not None
        room = Room(
            slot=request.appliance.slot_size,
            esp=parse_size(image.disk.esp_size),
            signature=request.appliance.signed,
            secure_boot=request.secure_boot.certificate if request.secure_boot else None,
        )
    return Release(
        id=own,
        version=version,
        epoch=session.epoch(name),
        commit=_commit(project.directory),
        files=files,
        packages=tuple(_packages(session, name)),
        room=room,
    )


def _packages(session: Session, name: str) -> Iterator[ReleasePackage]:
    """What the image has of Debian, and of Nix each path by its base name."""
    for one in session.lock.packages_of(name):
        yield ReleasePackage(name=one.name, version=one.version, source=one.source)
    for path in session.lock.closure_of(name):
        found = parse_package_name(path.name)
        yield ReleasePackage(name=found.package, version=found.version, source=path.name)


def _id(project: Project, name: str) -> str:
    return f"{project.definition.project.name}-{name}"


@contextlib.contextmanager
def _channel(
    project: Project, name: str, wanted: Wanted
) -> "Iterator[StorageChannel | RegistryChannel]":
    """The place of the image `name` in the channel."""
    text = project.definition.release.to if wanted.to is None else wanted.to
    if text == "":
        raise UsageError(
            "cannot publish to a channel without a name: `--to` is empty",
            hint="name one, or leave `--to` out to publish to that of the definition",
        )
    if text is None:
        raise UsageError(
            "cannot tell which channel to publish to",
            hint='add `to = "s3://releases"` to `[release]`, or use `--to`',
        )
    if text.startswith(_REGISTRY):
        with _registry_channel(project, name, text.removeprefix(_REGISTRY), wanted) as channel:
            yield channel
        return
    keep = project.definition.release.keep if wanted.keep is None else wanted.keep
    if keep < 1:
        raise UsageError("cannot keep no version: the newest stays", hint="use `--keep 1` or more")
    place = parse_location(text, Path.cwd() if wanted.to else project.directory).below(name)
    with open_storage(place, _access()) as storage:
        yield StorageChannel(storage, place.text, keep=keep)


@contextlib.contextmanager
def _registry_channel(
    project: Project, name: str, address: str, wanted: Wanted
) -> "Iterator[RegistryChannel]":
    from osloom.fetch.registry.reference import check_repository, parse_address
    from osloom.fetch.registry.registry import open_registry
    from osloom.release.registry import RegistryChannel

    if wanted.keep is not None:
        raise UsageError(
            "cannot remove versions from a registry: its own rules do that",
            hint="leave `--keep` out",
        )
    host, prefix = parse_address(address)
    repository = check_repository("/".join(part for part in (prefix, name) if part))
    settings = project.definition.registry
    authority = project.directory / settings.ca if settings.ca else None
    with open_registry(host, insecure=settings.insecure, ca=authority) as registry:
        yield RegistryChannel(registry, repository)


def _signer(project: Project, *, now: int) -> "ReleaseSigner":
    from osloom.keys.open import open_release
    from osloom.keys.places import find_place

    place = find_place(project.definition.keys, "release", project.directory)
    if place is None:
        raise UsageError(
            "cannot sign the release: the definition names no key for it",
            hint="run `osloom keys new` and set `directory` in `[keys]`; `--unsigned` goes without, "
            "and then anyone who can change the channel can change the devices",
        )
    return open_release(place, now=now)


def _access() -> Access:
    given = os.environ.get("NETRC") or f"{os.environ.get('HOME', '')}/.netrc"
    return Access(netrc=Path(given), service="channel")


def _commit(directory: Path) -> str | None:
    try:
        return head(directory).name
    except UsageError:
        return None
