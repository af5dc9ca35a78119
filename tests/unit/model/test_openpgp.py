"""OpenPGP around a raw RSA signature, as Sequoia reads it."""

import pysequoia
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from osloom.base.errors import Error
from osloom.keys.openpgp import find_packet, verify
from osloom.model import openpgp

KEY = rsa.generate_private_key(65537, 2048)
NUMBERS = KEY.public_key().public_numbers()
BEGIN = 1_760_000_000
BODY = openpgp.public_key(NUMBERS.n, NUMBERS.e, BEGIN)


def sign(data: bytes) -> bytes:
    return KEY.sign(data, padding.PKCS1v15(), hashes.SHA256())


CERTIFICATE = openpgp.certificate(BODY, "edge releases", sign, moment=BEGIN)


def test_a_certificate_has_a_name_and_no_end() -> None:
    (found,) = pysequoia.Cert.split_bytes(CERTIFICATE)
    assert [str(one) for one in found.user_ids] == ["edge releases"]
    assert found.expiration is None
    assert not found.is_revoked


def test_a_signature_is_of_its_data_alone() -> None:
    signature = openpgp.sign_data(BODY, b"sums", sign, moment=BEGIN + 1)
    verify(b"sums", signature, CERTIFICATE, who="the key")
    with pytest.raises(Error, match="its public key does not verify it"):
        verify(b"Sums", signature, CERTIFICATE, who="the key")
    assert signature == openpgp.sign_data(BODY, b"sums", sign, moment=BEGIN + 1)


def test_the_key_of_a_token_is_found_among_others() -> None:
    other = str(pysequoia.Tsk.generate("other").extract_certificate())
    both = (other + str(pysequoia.Cert.from_bytes(CERTIFICATE))).encode()
    assert find_packet(both, NUMBERS.n) == BODY
    assert find_packet(both, NUMBERS.n + 2) is None
    assert openpgp.find_rsa_modulus(b"") is None
