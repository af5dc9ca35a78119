"""WWW-Authenticate, as registries write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.fetch.registry.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Basic realm="Registry Realm"', [("basic", {"realm": "Registry Realm"})]),
        (
            'Bearer realm="https://auth.example/token",service="s",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Negotiate, Basic realm="a, b", Bearer realm=plain',
            [("negotiate", {}), ("basic", {"realm": "a, b"}), ("bearer", {"realm": "plain"})],
        ),
        (r'BASIC REALM="a \"b\" \\"', [("basic", {"realm": r'a "b" \ '.strip()})]),
        ("", []),
    ],
)
def test_challenges_are_taken_apart(text: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges([text]) == [
        Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in expected
    ]


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_header_is_read_without_harm(headers: list[str]) -> None:
    for one in parse_challenges(headers):
        assert one.scheme == one.scheme.lower()
