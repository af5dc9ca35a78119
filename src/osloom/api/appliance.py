"""What of the definition makes an appliance of an image, and what of it is released."""

import functools

from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.assemble.appliance.release import plan_release
from osloom.assemble.appliance.signing import SecureBoot
from osloom.assemble.appliance.version import plan_version
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.base.errors import Error
from osloom.keys.certificate import as_signer, load_certificate
from osloom.keys.open import open_secure_boot, read_enrolment
from osloom.keys.places import find_place
from osloom.keys.sign import keyring
from osloom.model.appliance import Appliance
from osloom.model.definition import Image
from osloom.model.tree import Node, Tree
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


def secure_boot_of(session: Session) -> SecureBoot | None:
    """Who signs what the firmware starts; None where the definition names no key for it."""
    from hashlib import sha256

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    project = session.project
    place = find_place(project.definition.keys, "secure-boot", project.directory)
    if place is None:
        return None
    certificate = load_certificate(place.public)
    fingerprint = sha256(as_signer(certificate).der).hexdigest()
    # Firmware never looks at the date: any at which the certificate is valid will do.
    begin = int(certificate.not_valid_before_utc.timestamp())
    session.signers[fingerprint] = functools.partial(open_secure_boot, place, now=begin)
    enrolment = read_enrolment(place.public)
    nodes = {
        name: Node("file", 0o644, size=len(data), digest=session.store.blobs.add(data))
        for name, data in enrolment.items()
    }
    return SecureBoot(
        certificate=fingerprint,
        public=session.store.blobs.add(
            certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        ),
        enrolment=session.store.add_tree(Tree(nodes)) if nodes else None,
    )


def release_files(
    session: Session, request: Request, *, whole: bool = True
) -> tuple[ReleaseFile, ...]:
    """Make what is published of a version, and name it as devices look for it.

    `whole` has the disk for new devices too.
    """
    assert request.appliance is not None
    version = plan_version(request)
    planned = plan_release(request, version)
    wanted = [version.root, version.hashes, version.uki, planned.blocks]
    wanted += [planned.disk, planned.block_map] if whole else []
    root_hash, *made = session.make((version.root_hash, *wanted))
    ids = Verity(root_hash=session.store.blobs.read(root_hash).decode(), hashes=b"")
    # A pattern of sysupdate.d(5) fits names that go on behind it, too: `VERSION.efi` anything.
    endings = (
        f"_{ids.data_id}.root",
        f"_{ids.hash_id}.verity",
        ".efi",
        ".blocks",
        ".raw.zst",
        ".raw.bmap",
    )
    return tuple(
        ReleaseFile(
            name=f"{request.appliance.name}{ending}",
            path=path,
            digest=digest,
            size=path.stat().st_size,
        )
        for ending, digest in zip(endings, made, strict=False)
        for path in (session.store.blobs.path(digest),)
    )
