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
from osloom.model.blocks import blocks_of
from osloom.model.measured import kernel_boot, signed_policies
from osloom.model.pe import parse_program
from osloom.model.pe_section import add_sections
from osloom.model.profiles import MAIN, with_reset_entry


class SecureBoot(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs, and what brings the firmware to trust it."""

    certificate: str
    """SHA-256 of the certificate in DER, in hexadecimal digits."""
    public: Digest
    """Its key in PEM, to which data may be sealed."""
    enrolment: Digest | None = None
    """A tree with PK.auth, KEK.auth and db.auth."""


@action(version=1, needs="key")
def sign_program(job: Job) -> Mapping[str, Digest]:
    """The EFI program `file` with a signature."""
    blobs = job.store.blobs
    signer = job.signers[job.parameters["certificate"]]()
    signed = sign_efi(blobs.read(job.digest("file")), signer)
    return {"file": blobs.add(signed)}


@action(version=2, needs="key")
def sign_uki(job: Job) -> Mapping[str, Digest]:
    """The UKI `file` with policies for the TPM (model.measured), a signature, and if it `resets` an
    entry for a factory reset.

    The policies are of the entry that starts by itself: the one that resets opens no data.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    blobs = job.store.blobs
    signer = job.signers[job.parameters["certificate"]]()
    image = blobs.read(job.digest("file"))
    program = parse_program(blocks_of(image))
    public = signer.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    resets = job.parameters["resets"]
    more = {".profile": blocks_of(MAIN)} if resets else {}
    value = kernel_boot({**program.sections, **more})
    policies = signed_policies(value, public, signer.sign)
    whole = add_sections(image, [(".pcrsig", policies)])
    whole = with_reset_entry(whole, program) if resets else whole
    return {"file": blobs.add(sign_efi(whole, signer))}


@action(version=1)
def finish_uki(job: Job) -> Mapping[str, Digest]:
    """The UKI `file` with a factory reset, which nobody signs."""
    blobs = job.store.blobs
    image = blobs.read(job.digest("file"))
    return {"file": blobs.add(with_reset_entry(image, parse_program(blocks_of(image))))}


@action(version=1, light=True)
def take_loader(job: Job) -> Mapping[str, Digest]:
    """systemd-boot of the tools `tree`."""
    name, _ = LOADERS[job.parameters["architecture"]]
    node = job.tree()[f"usr/lib/systemd/boot/efi/{name}"]
    assert node.digest is not None
    return {"file": node.digest}


def plan_finished_uki(
    secure_boot: SecureBoot | None, uki: Output, *, group: str, resets: bool
) -> Output:
    """The UKI as a device gets it, signed where there is somebody to.

    `resets` gives it an entry for a factory reset, which its initrd has to know (`initrd`).
    """
    if secure_boot is None and not resets:
        return uki
    if secure_boot is None:
        return Step(
            action=finish_uki,
            title=f"finish the UKI of {group}",
            group=group,
            inputs={"file": uki},
        ).output("file")
    return Step(
        action=sign_uki,
        title=f"sign the UKI of {group}",
        group=group,
        parameters={"certificate": secure_boot.certificate, "resets": resets},
        inputs={"file": uki},
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
    return Step(
        action=sign_program,
        title="sign the boot loader",
        group=group,
        parameters={"certificate": secure_boot.certificate},
        inputs={"file": loader},
    ).output("file")
