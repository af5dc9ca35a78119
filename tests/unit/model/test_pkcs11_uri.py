"""URIs of keys in tokens, RFC 7512."""

import pytest

from osloom.base.errors import DefinitionError
from osloom.model.pkcs11_uri import TokenKey, parse_uri

RIGHT = {
    "pkcs11:": TokenKey(),
    "pkcs11:token=The%20Software%20PKCS%2311;object=my-key;type=private": TokenKey(
        token="The Software PKCS#11", object="my-key"
    ),
    "pkcs11:id=%01%ff;serial=DECC0401648?module-path=/usr/lib/opensc-pkcs11.so&pin-source=pin": TokenKey(
        id=b"\x01\xff", serial="DECC0401648", module="/usr/lib/opensc-pkcs11.so", pin_source="pin"
    ),
}
WRONG = {
    "pkcs11:tokn=a": "`tokn=a` is not one of its attributes | did you mean `token`?",
    "pkcs11:token": "`token` is not one of its attributes | there are, once each: token, ",
    "pkcs11:token=a;token=b": "`token=b` is not one of its attributes | there are, once each: ",
    "pkcs11:token=a?pin-value=1234": "the definition is no place for secrets | use `pin-source=",
    "pkcs11:type=public": "its type is not `private`",
}


@pytest.mark.parametrize("uri", RIGHT)
def test_a_uri_says_which_key_is_meant(uri: str) -> None:
    assert parse_uri(uri) == RIGHT[uri]


@pytest.mark.parametrize("uri", WRONG)
def test_a_wrong_one_is_refused_without_its_secrets(uri: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_uri(uri)
    said = f"{caught.value.message} | {caught.value.hint}"
    assert WRONG[uri] in said
    assert "1234" not in said
