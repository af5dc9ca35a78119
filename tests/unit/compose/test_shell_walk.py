"""Which commands a script would come to."""

import pytest

from osloom.compose.application.scripts.syntax import ScriptError, parse_script
from osloom.compose.application.scripts.walk import Reached, Walk


def judge(words: tuple[str, ...]) -> bool | None:
    return {"getent": False, "there": True}.get(words[0]) if words else None


def walk(text: str) -> list[Reached]:
    return Walk(("postinst", "configure", ""), {}, judge).run(parse_script(text))


def words(text: str) -> list[str]:
    return [" ".join(one.words) for one in walk(text)]


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ('case "$1" in\nconfigure|x) a ;;\nabort-*) b ;;\n*) c\nesac', ["a"]),
        ('if [ "$1" = triggered ]; then a; elif [ -z "$2" ]; then b; else c; fi; d', ["b", "d"]),
        ('[ "$1" = configure ] || exit 0\na', ["a"]),
        ('[ "x$1" != xconfigure ] || exit 0\na', []),
        ('if [ "$1" = configure -a -n "$2" ]; then a; fi', []),
        ('[ -n $2 ] && a', ["a"]),  # as the shell has it: the word is gone
        ("if ! getent passwd x >/dev/null; then a; fi", ["getent passwd x", "a"]),
        ("U=web; D=/var/lib/$U; a ${D} '$U' \"$D/x y\" \\$", ["a /var/lib/web $U /var/lib/web/x y $"]),
        ("for one in b c; do a $one; done", ["a b", "a c"]),
        ("make() { a \"$1\" $2; }\nmake one; make two three", ["a one", "a two three"]),
        ("is() { if [ \"$1\" = configure ]; then return 0; fi; return 1; }\nif is \"$@\"; then a; else b; fi", ["a"]),
        ("a <<E\nb\nE\nc", ["a", "c"]),
        ("a $(b \"c)\" `d`) # e\n", ["a $(b \"c)\" `d`)"]),
        ("a ${X:-b} ${Y:+c}", ["a b "]),
        ('[ -z "$(getent group x)" ] && a', ["a"]),
        ("if ! O=$(getent group x 2>&1); then a; fi; if O=`there`; then b; fi", ["a", "b"]),
        ("if O='`getent`'; then a; fi; if O=$((1)); then b; fi", ["a", "b"]),
        ("false && a; true || b; ! false && c", ["c"]),
        ("exit 0\na", []),
    ],
)  # fmt: skip
def test_what_is_reached(text: str, reached: list[str]) -> None:
    assert words(text) == reached


def test_what_is_not_decided_is_reached_and_said() -> None:
    found = walk("if [ -e /x ]; then a; else b; fi\nA=1; c && A=2; d $A >/etc/e 2>&1 || exit 1\nf")
    assert found == [
        Reached(("a",), (), sure=False),
        Reached(("b",), (), sure=False),
        Reached(("c",)),
        Reached(("d", "$A"), ("/etc/e",)),
        Reached(("exit", "1"), (), sure=False),
        Reached(("f",)),
    ]


def test_an_assignment_ends_as_the_command_in_it() -> None:
    found = walk("if A=$(c); then a; else b; fi")
    assert found == [Reached(("a",), (), sure=False), Reached(("b",), (), sure=False)]


@pytest.mark.parametrize("text", ["if a; then", "a 'b", "case x in", ") a", "a $(b", "{ " * 99])
def test_what_is_no_script(text: str) -> None:
    with pytest.raises(ScriptError):
        parse_script(text)


def test_recursion_ends() -> None:
    assert words("a() { b; a; }\na").count("b") == 10
