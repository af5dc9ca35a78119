"""What of the definition makes an appliance of an image, and what of it is released."""

from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.assemble.appliance.release import plan_release
from osloom.assemble.appliance.version import plan_version
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.base.errors import Error
from osloom.keys.places import find_place
from osloom.keys.sign import keyring
from osloom.model.appliance import Appliance
from osloom.model.definition import Image
from osloom.model.verity import Verity
from osloom.release.version import ReleaseFile


def appliance_of(session: Session, name: str, image: Image, locked: str) -> Appliance:
    project = session.project.definition.project
    return Appliance(
        id=f"{project.name}-{name}",
        version=project.version,
        architecture=architecture_of(image),
        epoch=session.epoch(locked),
        keep=image.keep or (),
        disk=image.disk,
        update=image.update,
        health=image.health,
    )


def release_keyring(session: Session) -> Digest | None:
    """The public key that devices trust releases by; None where the definition names none."""
    project = session.project
    place = find_place(project.definition.keys, "release", project.directory)
    if place is None:
        return None
    try:
        public = place.public.read_bytes()
    except OSError as error:
        raise Error(
            f"cannot read {place.public}: {(error.strerror or '').lower()}",
            hint="run `osloom keys new`, or name the key in `[keys]`",
        ) from error
    return session.store.blobs.add(keyring(public))


def release_files(session: Session, request: Request) -> tuple[ReleaseFile, ...]:
    """Make what is published of a version, and name it as devices look for it."""
    assert request.appliance is not None
    planned = plan_release(request, plan_version(request))
    version = planned.version
    wanted = (version.root, version.hashes, version.uki, planned.disk, planned.block_map)
    root_hash, *made = session.make((version.root_hash, *wanted))
    ids = Verity(root_hash=session.store.blobs.read(root_hash).decode(), hashes=b"")
    name = request.appliance.name
    names = (
        f"{name}_{ids.data_id}.root",
        f"{name}_{ids.hash_id}.verity",
        f"{name}.efi",
        f"{name}.raw.zst",
        f"{name}.raw.bmap",
    )
    return tuple(
        ReleaseFile(name=one, path=path, digest=digest, size=path.stat().st_size)
        for one, digest in zip(names, made, strict=True)
        for path in (session.store.blobs.path(digest),)
    )
