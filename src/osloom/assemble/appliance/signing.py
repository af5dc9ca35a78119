"""Signatures of what the firmware starts, by a key of this machine.

A signature is not secret and is kept like all that is made; the key is not, and never leaves the
process that was given it (`Needs`). RSA makes the same signature every time.
"""

from collections.abc import Mapping

import msgspec

from osloom.assemble.esp import LOADERS
from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action
from osloom.keys.sign import sign_efi


class SecureBoot(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs, and what brings the firmware to trust it."""

    certificate: str
    """SHA-256 of the certificate in DER, in hexadecimal digits."""
    enrolment: Digest | None = None
    """A tree with PK.auth, KEK.auth and db.auth."""


@action(version=1, needs="key")
def sign_program(job: Job) -> Mapping[str, Digest]:
    """The EFI program `file` with a signature."""
    blobs = job.store.blobs
    signer = job.signers[job.parameters["certificate"]]()
    signed = sign_efi(blobs.read(job.digest("file")), signer)
    return {"file": blobs.add(signed)}


@action(version=1, light=True)
def take_loader(job: Job) -> Mapping[str, Digest]:
    """systemd-boot of the tools `tree`."""
    name, _ = LOADERS[job.parameters["architecture"]]
    node = job.tree()[f"usr/lib/systemd/boot/efi/{name}"]
    assert node.digest is not None
    return {"file": node.digest}


def plan_signed(secure_boot: SecureBoot, program: Output, *, title: str, group: str) -> Output:
    return Step(
        action=sign_program,
        title=f"sign {title}",
        group=group,
        parameters={"certificate": secure_boot.certificate},
        inputs={"file": program},
    ).output("file")


def plan_signed_loader(
    secure_boot: SecureBoot, tools: Output, *, architecture: str, group: str
) -> Output:
    """systemd-boot, signed."""
    loader = Step(
        action=take_loader,
        title="take the boot loader",
        group=group,
        parameters={"architecture": architecture},
        inputs={"tree": tools},
    ).output("file")
    return plan_signed(secure_boot, loader, title="the boot loader", group=group)
