"""Signatures of root hashes, as far as a disk alone tells whether they hold."""

import base64
import contextlib
import hashlib
import json

import msgspec
import pytest

from osloom.base.errors import Error
from osloom.keys.certificate import as_signer
from osloom.keys.make import make_keys
from osloom.keys.open import open_keys
from osloom.keys.root_hash import is_verified
from osloom.keys.sign import verity_signature_partition
from osloom.keys.signer import Signer
from osloom.model import cms
from osloom.model.providers import Keys
from osloom.model.verity_signature import VeritySignature

NOW = 1_700_000_000
ROOT_HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    directory = tmp_path_factory.mktemp("keys")
    make_keys(directory / "keys", name="edge", now=NOW)
    verity = open_keys(Keys(directory="keys"), directory, now=NOW).verity
    assert verity is not None
    return verity


def with_certificate(signer: Signer, signed: str = ROOT_HASH) -> VeritySignature:
    """As `openssl smime -sign -noattr` makes it without `-nocerts`."""
    own = as_signer(signer.certificate)
    message = cms.wrapped(cms.detached(signed.encode(), own, signer.sign))
    return VeritySignature(
        root_hash=ROOT_HASH,
        certificate_fingerprint=hashlib.sha256(own.der).hexdigest(),
        signature=base64.b64encode(message).decode(),
    )


def with_attributes(signer: Signer, signed: str = ROOT_HASH) -> VeritySignature:
    """As it makes it without `-noattr`."""
    own = as_signer(signer.certificate)
    message = cms.wrapped(cms.enveloped(cms.DATA, signed.encode(), own, signer.sign))
    return msgspec.structs.replace(
        with_certificate(signer), signature=base64.b64encode(message).decode()
    )


def test_a_certificate_that_comes_with_it_verifies_it(signer: Signer) -> None:
    assert is_verified(with_certificate(signer))
    assert is_verified(with_attributes(signer))


def test_of_what_osloom_makes_nothing_is_claimed(signer: Signer) -> None:
    made = json.loads(verity_signature_partition(ROOT_HASH, signer))
    assert not is_verified(msgspec.convert(made, VeritySignature))


def test_without_a_name_nothing_is_claimed(signer: Signer) -> None:
    nameless = msgspec.structs.replace(with_certificate(signer), certificate_fingerprint=None)
    assert not is_verified(nameless)


@pytest.mark.parametrize("signature", ["", "AAAA", "no Base64", "MAA=", "MAMwAQA=", "MIQ="])
def test_what_is_no_message_is_said(signer: Signer, signature: str) -> None:
    bad = msgspec.structs.replace(with_certificate(signer), signature=signature)
    with pytest.raises(Error, match="its signature is wrong: "):
        is_verified(bad)


def test_whatever_a_message_holds_it_is_read_or_refused(signer: Signer) -> None:
    whole = base64.b64decode(with_certificate(signer).signature)
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 0x41
        for data in (whole[:place], bytes(flipped)):
            text = base64.b64encode(data).decode()
            bad = msgspec.structs.replace(with_certificate(signer), signature=text)
            with contextlib.suppress(Error):
                is_verified(bad)


def test_one_of_another_root_hash_is_said(signer: Signer) -> None:
    for made in (with_certificate, with_attributes):
        with pytest.raises(Error) as caught:
            is_verified(made(signer, ROOT_HASH[::-1]))
        assert caught.value.message.startswith("its signature is wrong: ")


def test_another_certificate_than_the_one_that_is_named_is_said(signer: Signer) -> None:
    other = msgspec.structs.replace(with_certificate(signer), certificate_fingerprint="cd" * 32)
    with pytest.raises(Error) as caught:
        is_verified(other)
    assert caught.value.message == (
        "its signature is wrong: it comes with another certificate than the one that it names"
    )
