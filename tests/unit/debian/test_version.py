"""Debian's order of versions, held against dpkg itself where there is one."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.sources.debian.version import compare, satisfies

VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("1.0~rc1", "1.0", -1),
        ("1.0", "1.0-0", 0),
        ("0:1", "1", 0),
        ("1:0", "9", 1),
        ("1.10", "1.9", 1),
        ("1.0a", "1.0+", -1),
        ("1.0-1", "1.0-1+deb13u1", -1),
        ("1.01", "1.1", 0),
        ("²:1", "1", 0),
    ],
)
def test_versions_are_ordered_as_the_policy_says(one: str, other: str, order: int) -> None:
    assert (compare(one, other), compare(other, one)) == (order, -order)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no dpkg on this host")
@settings(max_examples=60)
@given(one=VERSIONS, other=VERSIONS)
def test_the_order_is_dpkgs(one: str, other: str) -> None:
    word = {-1: "lt", 0: "eq", 1: "gt"}[compare(one, other)]
    done = subprocess.call(["dpkg", "--compare-versions", one, word, other])
    assert done == 0


def test_relations_hold_as_written() -> None:
    assert [satisfies("2", sign, "2") for sign in ("<<", "<=", "=", ">=", ">>")] == [
        False,
        True,
        True,
        True,
        False,
    ]
