"""Signatures of what the firmware starts, by a key of this machine.

A signature is not secret and is kept like all that is made; the key is not, and never leaves the
process that was given it (`Needs`). RSA makes the same signature every time.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import json

from osloom.assemble.boot_programs import find_loader
from osloom.base.digest import Digest
from osloom.engine.step import Input, Job, Output, Step, action
from osloom.keys.sign import sign_efi, signed_efi
from osloom.model.authenticode import Summed, sum_body
from osloom.model.blocks import blocks_of
from osloom.model.measured import kernel_boot, section_digests, signed_policies
from osloom.model.pe import Program, parse_program
from osloom.model.pe_section import added_parts
from osloom.model.profiles import MAIN, reset_entry


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


class _Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a UKI before it is finished."""

    digests: dict[str, str]
    """`section_digests`."""
    summed: Summed


@action(version=2)
def measure_sections(job: Job) -> Mapping[str, Digest]:
    """The UKI `file` as `measured`, a `_Measured` in JSON."""
    image = job.store.blobs.mapped(job.digest("file"))
    program = parse_program(blocks_of(image))
    found = _Measured(digests=section_digests(program.sections), summed=sum_body(image))
    return {"measured": job.store.blobs.add(json.encode(found))}


@action(version=7, needs="key")
def sign_uki(job: Job) -> Mapping[str, Digest]:
    """The UKI of `finish_uki` with policies for the TPM (model.measured) and a signature.

    `measured` is that of `measure_sections`. The policies are of the entry that starts by itself:
    the one that resets opens no data.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    signer = job.signers[job.parameters["certificate"]]()
    uki = _uki(job)
    public = signer.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    added = dict([*uki.own, (".profile", MAIN)] if uki.entries else uki.own)
    more = section_digests({name: blocks_of(content) for name, content in added.items()})
    known = json.decode(job.store.blobs.read(job.digest("measured")), type=_Measured)
    value = kernel_boot({**known.digests, **more})
    policies = signed_policies(value, public, signer.sign)
    whole = added_parts(uki.image, [*uki.own, (".pcrsig", policies), *uki.entries])
    return {"file": job.store.blobs.add_chunks(signed_efi(whole, signer, known.summed))}


@action(version=4)
def finish_uki(job: Job) -> Mapping[str, Digest]:
    """The UKI `file` with its command line: the hash of its root, `root_hash`, what a file `line`
    has, and `words`. If it `resets`, with an entry for a factory reset."""
    uki = _uki(job)
    return {"file": job.store.blobs.add_chunks(added_parts(uki.image, [*uki.own, *uki.entries]))}


class _Uki(msgspec.Struct, frozen=True, kw_only=True):
    """One that is begun, and the sections that it lacks."""

    image: memoryview
    program: Program
    """What it holds, `own` included."""
    own: list[tuple[str, bytes]]
    """Of what starts by itself."""
    entries: list[tuple[str, bytes]]
    """Of the menu."""


def _uki(job: Job) -> _Uki:
    blobs = job.store.blobs
    image = blobs.mapped(job.digest("file"))
    words = [b"roothash=" + blobs.read(job.digest("root_hash"))]
    if "line" in job.inputs:
        words.append(blobs.read(job.digest("line")))
    words += [word.encode() for word in job.parameters["words"]]
    line = b" ".join(words)
    program = parse_program(blocks_of(image))
    sections = {**program.sections, ".cmdline": blocks_of(line)}
    program = msgspec.structs.replace(program, sections=sections)
    entries = reset_entry(program) if job.parameters["resets"] else []
    return _Uki(image=image, program=program, own=[(".cmdline", line)], entries=entries)


@action(version=1, light=True)
def take_loader(job: Job) -> Mapping[str, Digest]:
    """systemd-boot of the tools `tree`."""
    return {"file": find_loader(job.tree(), job.parameters["architecture"])}


def plan_finished_uki(
    secure_boot: SecureBoot | None,
    parts: Mapping[str, Input],
    words: Sequence[str],
    *,
    group: str,
    resets: bool,
) -> Output:
    """The UKI as a device gets it, of `parts` as `finish_uki` has them, signed where there is
    somebody to.

    `resets` gives it an entry for a factory reset, which its initrd has to know (`initrd`).
    """
    signs, measured = {}, {}
    if secure_boot is not None:
        signs = {"certificate": secure_boot.certificate}
        # While there is no root yet.
        measured["measured"] = Step(
            action=measure_sections,
            title=f"measure the UKI of {group}",
            group=group,
            inputs={"file": parts["file"]},
        ).output("measured")
    return Step(
        action=sign_uki if signs else finish_uki,
        title=f"{'sign' if signs else 'finish'} the UKI of {group}",
        group=group,
        parameters={"resets": resets, "words": list(words), **signs},
        inputs={**parts, **measured},
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
