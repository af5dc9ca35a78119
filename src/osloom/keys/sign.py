"""What a release carries of signatures: of its checksums, its root hashes, its EFI programs."""

from osloom.keys.signer import ReleaseSigner, Signer


def sign_release(data: bytes, signer: ReleaseSigner) -> bytes:
    """The detached, binary OpenPGP signature of `data`: what SHA256SUMS.gpg holds."""
    raise NotImplementedError


def keyring(public: bytes) -> bytes:
    """An OpenPGP certificate as gpg's `--keyring` takes it: binary, whatever it was.

    For /etc/systemd/import-pubring.gpg, which systemd-pull gives to gpg.
    """
    raise NotImplementedError


def sign_verity(root_hash: str, signer: Signer) -> bytes:
    """The detached PKCS#7 signature in DER of a dm-verity root hash in hex."""
    raise NotImplementedError


def verity_signature_partition(root_hash: str, signer: Signer) -> bytes:
    """The JSON object that a `verity-sig` partition holds, without padding.

    `rootHash`, `certificateFingerprint`, `signature`; Discoverable Partitions Specification.
    """
    raise NotImplementedError


def sign_efi(image: bytes, signer: Signer) -> bytes:
    """An EFI program with one more Authenticode signature; the same bytes every time with RSA."""
    raise NotImplementedError
