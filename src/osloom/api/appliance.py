"""What of the definition makes an appliance of an image, and what of it is released."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.assemble.appliance.release import plan_release
from osloom.assemble.appliance.signing import SecureBoot
from osloom.assemble.appliance.version import plan_version
from osloom.assemble.request import Request
from osloom.assemble.verity_signature import VerityKey
from osloom.base.digest import Digest
from osloom.base.errors import Error
from osloom.compose.appliance.nixos import plan_nixos_root
from osloom.compose.appliance.root import plan_root
from osloom.keys.certificate import as_signer, load_certificate
from osloom.keys.open import open_secure_boot, open_signer, read_enrolment
from osloom.keys.places import Place, find_place
from osloom.keys.sign import keyring
from osloom.keys.signer import Signer
from osloom.model.appliance import Appliance
from osloom.model.fetched import fetched_by
from osloom.model.tree import Node, Tree
from osloom.model.verity import Verity
from osloom.release.version import ReleaseFile

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def with_keys(session: Session, request: Request) -> Request:
    """The request with who signs what of it, where the definition names keys."""
    is_appliance = request.image.disk.is_appliance
    return msgspec.structs.replace(
        request,
        verity_key=_verity_key(session),
        secure_boot=_secure_boot(session) if is_appliance else None,
    )


def with_root(session: Session, request: Request, name: str) -> Request:
    """The request of the image `name`, which has keys, as that of an appliance, with its root."""
    appliance = _appliance(session, name, request)
    trusted = _release_keyring(session)
    if request.image.nixos is not None:
        root = plan_nixos_root(appliance, request.tree, group=request.name, keyring=trusted)
    else:
        key = request.verity_key
        root = plan_root(
            appliance,
            request.tree,
            group=request.name,
            keyring=trusted,
            certificate=key.public if key else None,
        )
    return msgspec.structs.replace(request, appliance=appliance, root=root)


def _appliance(session: Session, name: str, request: Request) -> Appliance:
    definition, image = session.project.definition, request.image
    return Appliance(
        id=f"{definition.project.name}-{name}",
        version=definition.project.version,
        architecture=architecture_of(image),
        epoch=request.epoch,
        keep=image.keep or (),
        disk=image.disk,
        update=image.update,
        health=image.health,
        extensions=fetched_by(definition, image),
        signed=request.verity_key is not None,
    )


def _release_keyring(session: Session) -> Digest | None:
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


def _secure_boot(session: Session) -> SecureBoot | None:
    """Who signs what the firmware starts; None where the definition names no key for it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    project = session.project
    place = find_place(project.definition.keys, "secure-boot", project.directory)
    if place is None:
        return None
    certificate, fingerprint = _signer(session, place, open_secure_boot)
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


def _verity_key(session: Session) -> VerityKey | None:
    """Who signs root hashes; None where the definition names no key for it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    project = session.project
    place = find_place(project.definition.keys, "verity", project.directory)
    if place is None:
        return None
    certificate, fingerprint = _signer(session, place, open_signer)
    public = session.store.blobs.add(certificate.public_bytes(Encoding.PEM))
    return VerityKey(certificate=fingerprint, public=public)


def _signer(
    session: Session, place: Place, opened: Callable[..., Signer]
) -> "tuple[Certificate, str]":
    """The certificate of a key and its fingerprint, by which steps find who signs."""
    from hashlib import sha256

    certificate = load_certificate(place.public)
    fingerprint = sha256(as_signer(certificate).der).hexdigest()
    # Neither firmware nor dm-verity looks at the date: any at which it is valid will do.
    begin = int(certificate.not_valid_before_utc.timestamp())
    session.signers[fingerprint] = functools.partial(opened, place, now=begin)
    return certificate, fingerprint


def release_files(
    session: Session, request: Request, *, whole: bool, made: Callable[[Path], object]
) -> tuple[ReleaseFile, ...]:
    """Make what is published of a version, and name it as devices look for it; `made` hears of it.

    `whole` has the disk for new devices too.
    """
    assert request.appliance is not None
    version = plan_version(request)
    planned = plan_release(request, version)
    # A pattern of sysupdate.d(5) fits names that go on behind it, too: `VERSION.efi` anything.
    wanted = {
        "_{0.data_id}.root": version.root,
        "_{0.hash_id}.verity": version.hashes,
        ".efi": version.uki,
        ".blocks": planned.blocks,
    }
    if version.signature is not None:
        wanted[".verity-sig"] = version.signature
    if whole:
        wanted |= {".raw.zst": planned.disk, ".raw.bmap": planned.block_map}
    root_hash, *digests = session.make([version.root_hash, *wanted.values()], made)
    ids = Verity(root_hash=session.store.blobs.read(root_hash).decode(), hashes=b"")
    return tuple(
        ReleaseFile(
            name=f"{request.appliance.name}{ending.format(ids)}",
            path=path,
            digest=digest,
            size=path.stat().st_size,
            is_new=session.is_new(wanted[ending]),
        )
        for ending, digest in zip(wanted, digests, strict=True)
        for path in (session.store.blobs.path(digest),)
    )
