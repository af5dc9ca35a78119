"""What errors show."""

import pickle

import pytest

from osloom.base.errors import FetchError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:80/a?b=c", "http://host:80/a?b=c"),
        ("`https://token@host/a` and s3://key:secret@bucket", "`https://host/a` and s3://bucket"),
        ("git+https://user:p@ss@host/a", "git+https://host/a"),
        ("http://user:pa ss@host/a", "http://host/a"),
        ("http://host/a@b, mail@example.com", "http://host/a@b, mail@example.com"),
        ("oci://host/app@sha256:12", "oci://host/app@sha256:12"),
    ],
)
def test_addresses_are_shown_without_passwords(text: str, shown: str) -> None:
    error = FetchError(f"cannot fetch {text}", hint=f"try {text}", detail=text)
    assert (error.message, str(error)) == (f"cannot fetch {shown}",) * 2
    assert (error.hint, error.detail) == (f"try {shown}", shown)
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.hint, again.detail) == (error.message, error.hint, error.detail)
