"""What a TPM holds when a UKI has started, and the policies that are true then.

systemd-stub(7) measures the sections of a UKI into PCR 11, and the phases of the boot follow,
systemd-pcrphase.service(8). A signed policy says of which values: so data sealed to the key that
signs stay readable with every UKI that it signed, and with no other. systemd-measure(1), TPM 2.0
Library Part 3 (TPM2_PolicyPCR), UAPI Unified Kernel Image.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping

from osloom.model.blocks import Blocks

SECTIONS = (
    ".linux",
    ".osrel",
    ".cmdline",
    ".initrd",
    ".ucode",
    ".splash",
    ".dtb",
    ".uname",
    ".sbat",
    ".pcrpkey",
    ".profile",
)
"""In the order in which they are measured; `.pcrsig` has the policies, and is not."""
PHASES = ("enter-initrd", "leave-initrd", "sysinit", "ready")
_PCR = 11
_POLICY_PCR = 0x0000017F
_SHA256 = 0x000B
_CHUNK = 1 << 20


def section_digests(sections: Mapping[str, Blocks]) -> dict[str, str]:
    """SHA-256 in hexadecimal digits of each section that is measured."""
    return {name: _digest(sections[name]) for name in SECTIONS if name in sections}


def kernel_boot(digests: Mapping[str, str]) -> bytes:
    """PCR 11 (SHA-256) when the kernel starts: 32 bytes. `digests` are `section_digests`."""
    value = bytes(32)
    for name in SECTIONS:
        if name in digests:
            value = _extended(value, hashlib.sha256(name.encode() + b"\0").digest())
            value = _extended(value, bytes.fromhex(digests[name]))
    return value


def policies(value: bytes) -> Iterator[bytes]:
    """The digest of the policy that PCR 11 has the value of each phase, from `kernel_boot` on."""
    for phase in PHASES:
        value = _extended(value, hashlib.sha256(phase.encode()).digest())
        yield _policy(value)


def signed_policies(value: bytes, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The content of `.pcrsig`: JSON. `public` is the key in DER (RSAPublicKey of RFC 8017).

    `sign` gives RSASSA-PKCS1-v1_5 with SHA-256.
    """
    key = hashlib.sha256(public).hexdigest()
    entries = [
        {
            "pcrs": [_PCR],
            "pkfp": key,
            "pol": one.hex(),
            "sig": base64.b64encode(sign(one)).decode(),
        }
        for one in policies(value)
    ]
    return json.dumps({"sha256": entries}, separators=(",", ":")).encode()


def _policy(value: bytes) -> bytes:
    """TPM2_PolicyPCR of a fresh session, on PCR 11 alone."""
    # TPML_PCR_SELECTION: one bank, three bytes of bits.
    selection = struct.pack(">IHB3s", 1, _SHA256, 3, (1 << _PCR).to_bytes(3, "little"))
    text = bytes(32) + struct.pack(">I", _POLICY_PCR) + selection + hashlib.sha256(value).digest()
    return hashlib.sha256(text).digest()


def _extended(value: bytes, digest: bytes) -> bytes:
    return hashlib.sha256(value + digest).digest()


def _digest(content: Blocks) -> str:
    made = hashlib.sha256()
    for place in range(0, content.size, _CHUNK):
        made.update(content.read(place, min(_CHUNK, content.size - place)))
    return made.hexdigest()
