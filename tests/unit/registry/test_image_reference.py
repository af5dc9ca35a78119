"""References, by the grammar of distribution/reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import UsageError
from osloom.fetch.registry.reference import Reference, parse_address, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("debian", "docker.io/library/debian"),
        ("debian:13", "docker.io/library/debian:13"),
        ("someone/app", "docker.io/someone/app"),
        ("docker.io/debian", "docker.io/library/debian"),
        ("index.docker.io/debian:13", "docker.io/library/debian:13"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:7", "localhost:5000/app:7"),
        ("registry.example.com/team/app", "registry.example.com/team/app"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        (f"host.example/a/b__c.d--e:1_x@{DIGEST}", f"host.example/a/b__c.d--e:1_x@{DIGEST}"),
    ],
)
def test_a_name_means_what_it_means_to_docker(text: str, whole: str) -> None:
    assert str(parse_reference(text)) == whole
    assert str(parse_reference(whole)) == whole


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("", "`library/` is not the name of a repository", "lower-case"),
        ("App", "`library/App` is not the name of a repository", "did you mean `library/app`?"),
        ("host.example/a//b", "`a//b` is not the name of a repository", "lower-case"),
        ("host.example/a:.7", "`.7` is not a tag", "neither `.` nor `-` first"),
        ("host.example/a:" + "x" * 129, "is not a tag", "at most 128"),
        ("host.example/a@sha256:12", "`sha256:12` is not a digest", "64 digits"),
        ("https://host.example/a", "it is an address", "leave `https://` out"),
        ("host_.example/a", "`host_.example` is not the name of a host", None),
        ("host.example/" + "a/" * 127 + "aa", "more than 255 characters", None),
        ("host.example/a:1\n", "is not a tag", "letters"),
    ],
)
def test_a_wrong_reference_says_what_is_wrong(text: str, why: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert caught.value.message.startswith(f"cannot read the reference `{text}`: ")
    assert why in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


_WORD = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", fullmatch=True).filter(
    lambda word: len(word) < 60
)


@given(
    registry=st.sampled_from(["docker.io", "localhost", "host:1", "a.example:65535", "[::1]"]),
    words=st.lists(_WORD, min_size=2, max_size=4),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True),
    digest=st.none() | st.just(DIGEST),
)
def test_what_is_written_is_read_again(
    registry: str, words: list[str], tag: str | None, digest: str | None
) -> None:
    one = Reference(registry=registry, repository="/".join(words), tag=tag, digest=digest)  # type: ignore[arg-type]
    assert parse_reference(str(one)) == one


@given(st.text(alphabet="aA0:/@.-_ \n[]", max_size=30))
def test_any_text_is_a_reference_or_an_error_of_the_user(text: str) -> None:
    try:
        found = parse_reference(text)
    except UsageError:
        return
    assert parse_reference(str(found)) == found


def test_what_is_asked_for() -> None:
    assert parse_reference("app").wanted == "latest"
    assert parse_reference("app:7").wanted == "7"
    assert parse_reference(f"app:7@{DIGEST}").wanted == DIGEST


def test_an_address_begins_with_a_registry() -> None:
    assert parse_address("localhost:5000") == ("localhost:5000", "")
    assert parse_address("registry.example.com/team/sub") == ("registry.example.com", "team/sub")
    with pytest.raises(UsageError) as caught:
        parse_address("team")
    assert caught.value.hint == "did you mean `docker.io/team`?"
