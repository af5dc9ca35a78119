"""A channel as it is: what it holds by its SHA256SUMS, and who says so."""

import hashlib

import msgspec

from osloom.base.errors import Error, FetchError
from osloom.fetch.storage.storage import Storage
from osloom.keys.openpgp import ReleaseSigner, verify
from osloom.release.checksums import MOST, SIGNATURE, SUMS, Sums, parse_sums
from osloom.release.journal import load_journal
from osloom.release.version import is_manifest

_MOST_SIGNATURE = 1 << 20
SUMS_KIND = "text/plain"


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel holds before a release."""

    sums: Sums = {}
    text: bytes | None = None
    """Of SHA256SUMS; None where there is none."""
    signature: bytes | None = None
    """Of SHA256SUMS.gpg, whatever it signs."""

    @property
    def signature_name(self) -> str | None:
        return None if self.text is None else signature_name(self.text)


def signature_name(text: bytes) -> str:
    """Where the signature of one SHA256SUMS is, too: from there it is read when a publish ended
    between the one file and the other."""
    return f"{SUMS}-{hashlib.sha256(text).hexdigest()[:16]}.gpg"


def load_channel(storage: Storage, where: str, own: str, signer: ReleaseSigner | None) -> Current:
    """What the channel at `where` holds of `own`, which the release's key has signed.

    Raises FetchError where somebody else may have written it, where it is signed and `signer` is
    None, or the other way round, and where its list was lost.
    """
    text = storage.read(SUMS, limit=MOST)
    signature = storage.read(SIGNATURE, limit=_MOST_SIGNATURE)
    if signer is None and signature is not None:
        raise without_signature(where)
    if text is None:
        _check_empty(storage, where, own, signature)
        return Current(signature=signature)
    if signer is not None:
        _check(storage, where, text, signature, signer)
    return Current(sums=parse_sums(text, where=f"{where}/{SUMS}"), text=text, signature=signature)


def _check_empty(storage: Storage, where: str, own: str, signature: bytes | None) -> None:
    """Raises FetchError where something was released that no list names any more.

    A first release that was cut off may have left its manifest, and a signature that came before
    what it signs: then there is a journal. A directory can be looked at, elsewhere the signature
    alone tells.
    """
    unfinished = load_journal(storage)
    manifests = {name for name in storage.names() or () if is_manifest(name, own)}
    is_lost = (signature is not None and not unfinished) or manifests - unfinished
    # Of one that is there by now, somebody else's, the end of the release will tell.
    if is_lost and storage.read(SUMS, limit=MOST) is None:
        raise FetchError(
            f"cannot publish to {where}: versions were released there, and the {SUMS} that names "
            "them is gone",
            hint=f"put {SUMS} and {SIGNATURE} back from a copy of the channel; an empty directory "
            "begins anew",
        )


def without_signature(where: str) -> FetchError:
    """A channel is signed, and a release would not be."""
    return FetchError(
        f"cannot publish to {where} without a signature: it is signed, and its devices would "
        "refuse what is not",
        hint="name the release's key in `[keys]`, and leave `--unsigned` out",
    )


def _check(
    storage: Storage, where: str, text: bytes, signature: bytes | None, signer: ReleaseSigner
) -> None:
    if signature is None:
        raise FetchError(
            f"cannot publish to {where}: what it holds is not signed, and anyone may have put it "
            "there",
            hint="publish to an empty channel, or go on without a signature: `--unsigned`",
        )
    if _is_signed(text, signature, signer):
        return
    other = storage.read(signature_name(text), limit=_MOST_SIGNATURE)
    if other is None or not _is_signed(text, other, signer):
        raise FetchError(
            f"cannot trust {where}: the release's key has not signed its {SUMS}",
            hint="somebody has changed it, or another key is named in `[keys]`; "
            "an empty channel begins anew",
        )


def _is_signed(text: bytes, signature: bytes, signer: ReleaseSigner) -> bool:
    try:
        verify(text, signature, signer.public, who="the channel")
    except Error:
        return False
    return True
