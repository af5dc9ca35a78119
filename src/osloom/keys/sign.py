"""What a release carries of signatures: of its checksums, its root hashes, its EFI programs."""

import base64
import hashlib
import json
from collections.abc import Sequence

from osloom.base.errors import Error
from osloom.keys.certificate import as_signer
from osloom.keys.openpgp import ReleaseSigner, certificates
from osloom.keys.signer import Signer
from osloom.model import authenticode, cms


def sign_release(data: bytes, signer: ReleaseSigner) -> bytes:
    """The detached, binary OpenPGP signature of `data`: what SHA256SUMS.gpg holds."""
    return signer.sign(data)


def keyring(public: bytes) -> bytes:
    """OpenPGP certificates as gpg's `--keyring` takes them: binary, whatever they were.

    For /etc/systemd/import-pubring.gpg, which systemd-pull gives to gpg.
    """
    return b"".join(bytes(one) for one in certificates(public, name="the release key"))


def sign_verity(root_hash: str, signer: Signer) -> bytes:
    """The detached PKCS#7 signature in DER of a dm-verity root hash in hex.

    Of the hexadecimal digits themselves, as the kernel and systemd verify it:
    Documentation/admin-guide/device-mapper/verity.rst, `root_hash_sig_key_desc`.
    """
    _check_root_hash(root_hash)
    return cms.wrapped(cms.bare(root_hash.encode(), as_signer(signer.certificate), signer.sign))


def verity_signature_partition(root_hash: str, signer: Signer) -> bytes:
    """The JSON object that a `verity-sig` partition holds, without padding.

    `rootHash`, `certificateFingerprint`, `signature`; Discoverable Partitions Specification.
    """
    fingerprint = hashlib.sha256(as_signer(signer.certificate).der).hexdigest()
    content = {
        "rootHash": root_hash,
        "certificateFingerprint": fingerprint,
        "signature": base64.b64encode(sign_verity(root_hash, signer)).decode(),
    }
    return json.dumps(content, separators=(",", ":")).encode()


def sign_efi(image: bytes, signer: Signer) -> bytes:
    """An EFI program with one more Authenticode signature; the same bytes every time with RSA.

    Raises Error when `image` is not a whole EFI program.
    """
    return b"".join(signed_efi([image], signer))


def signed_efi(
    image: Sequence[authenticode.Bytes], signer: Signer, summed: authenticode.Summed | None = None
) -> Sequence[authenticode.Bytes]:
    """What `sign_efi` gives, in parts; `image` and `summed` as `signed_parts` has them."""
    return authenticode.signed_parts(image, as_signer(signer.certificate), signer.sign, summed)


def _check_root_hash(root_hash: str) -> None:
    if len(root_hash) < 64 or len(root_hash) % 2 or not set(root_hash) <= set("0123456789abcdef"):
        raise Error(f"cannot sign the root hash `{root_hash}`: it is not one in hexadecimal digits")
