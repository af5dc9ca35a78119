"""Signed updates of the variables of secure boot: UEFI Specification, sections 8.2 and 32.4."""

import datetime as dt
import struct
import uuid
from typing import Literal

from osloom.model import cms

Variable = Literal["PK", "KEK", "db"]
VARIABLES: tuple[Variable, ...] = ("PK", "KEK", "db")
"""Each may change the next one."""

_GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_SECURITY_DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_VENDORS = {"PK": _GLOBAL, "KEK": _GLOBAL, "db": _SECURITY_DATABASE}
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
_PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
_ATTRIBUTES = 0x27
"""Non-volatile, boot service and runtime access, time-based authenticated write."""
_REVISION = 0x0200
_EFI_GUID = 0x0EF1


def signature_list(certificate: bytes, owner: uuid.UUID) -> bytes:
    """EFI_SIGNATURE_LIST of one X.509 certificate in DER."""
    entry = owner.bytes_le + certificate
    return _X509.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry


def signed_part(variable: Variable, content: bytes, moment: int) -> bytes:
    """What the signature of an update is of; `moment` in seconds since 1970."""
    name = variable.encode("utf-16-le")
    vendor = _VENDORS[variable].bytes_le
    return name + vendor + struct.pack("<I", _ATTRIBUTES) + _time(moment) + content


def update(
    variable: Variable, content: bytes, signer: cms.Certificate, sign: cms.Sign, *, moment: int
) -> bytes:
    """EFI_VARIABLE_AUTHENTICATION_2 and the new content: what a `.auth` file holds.

    Firmware takes it when the key above has signed it: PK signs PK and KEK, KEK signs db.
    """
    message = cms.detached(signed_part(variable, content, moment), signer, sign)
    head = struct.pack("<IHH", 24 + len(message), _REVISION, _EFI_GUID)
    return _time(moment) + head + _PKCS7.bytes_le + message + content


def _time(moment: int) -> bytes:
    """EFI_TIME; of its fields only those down to the second may be other than 0."""
    at = dt.datetime.fromtimestamp(moment, dt.UTC)
    return struct.pack("<HBBBBBxIhBx", *at.timetuple()[:6], 0, 0, 0)
