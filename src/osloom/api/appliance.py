"""What of the definition makes an appliance of an image."""

from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.base.digest import Digest
from osloom.model.appliance import Appliance
from osloom.model.definition import Image


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
    directory = session.project.definition.keys.directory
    if directory is None:
        return None
    from osloom.keys.sign import keyring

    public = (session.project.directory / directory / "release.pub").read_bytes()
    return session.store.blobs.add(keyring(public))
