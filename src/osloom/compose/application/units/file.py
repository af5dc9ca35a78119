"""Unit files of systemd as data: systemd.syntax(7), the specifiers of systemd.unit(5).

Nothing here knows what a setting means. Values keep their quotes until `split_words` is asked.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

_TRUE = {"1", "yes", "y", "true", "t", "on"}
_ESCAPES = dict(zip("abfnrtvs\\\"'", "\a\b\f\n\r\t\v \\\"'", strict=True))
_NUMBERED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}
"""Digits and base of the escapes that name a character by its number."""


class Unit(msgspec.Struct, frozen=True):
    """The assignments of a unit and its drop-ins, in the order they are read."""

    assignments: tuple[tuple[str, str, str], ...]
    """Section, key and value."""

    def values(self, section: str, key: str) -> tuple[str, ...]:
        """All values of a setting that adds up; an empty one forgets those before it."""
        found: list[str] = []
        for where, name, value in self.assignments:
            if (where, name) == (section, key):
                found = [*found, value] if value else []
        return tuple(found)

    def value(self, section: str, key: str) -> str | None:
        """The last value of a setting that holds one; None when there is none or it is empty."""
        found = self.values(section, key)
        return found[-1] if found else None

    def keys(self, section: str) -> tuple[str, ...]:
        """The settings that hold something, in the order of their first mention."""
        names = dict.fromkeys(name for where, name, _ in self.assignments if where == section)
        return tuple(name for name in names if self.values(section, name))


def parse_unit(*texts: str) -> Unit:
    """A unit file and its drop-ins, in the order in which systemd reads them.

    What is no section and no assignment is passed over, as systemd does (it warns).
    """
    assignments: list[tuple[str, str, str]] = []
    for text in texts:
        section = ""
        for line in _logical_lines(text):
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
            elif "=" in line:
                key, _, value = line.partition("=")
                assignments.append((section, key.strip(), value.strip()))
    return Unit(tuple(assignments))


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with their continuations, without comments and empty ones."""
    continued = ""
    for line in text.removeprefix("\ufeff").split("\n"):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue  # also in the middle of a continued line
        trailing = len(line.rstrip("\r")) - len(line.rstrip("\r").rstrip("\\"))
        if trailing % 2:
            continued += line.lstrip().rstrip("\r")[:-1] + " "
            continue
        whole = (continued + line.lstrip()).strip()
        continued = ""
        if whole:
            yield whole
    if continued.strip():
        yield continued.strip()


def is_true(value: str | None) -> bool:
    return value is not None and value.lower() in _TRUE


def split_words(text: str) -> tuple[str, ...]:
    """Words with their quotes and C escapes resolved, systemd.syntax(7), “Quoting”.

    As systemd does in its relaxed mode, what is not an escape stays as it is, and a quote that is
    never closed ends with the text.
    """
    return tuple(_words(text))


def _words(text: str) -> Iterator[str]:
    word: list[str] = []
    quote = ""
    started = False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            resolved, position = _escape(text, position)
            word.append(resolved)
            started = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                word.append(character)
        elif character in "\"'":
            quote = character
            started = True
        elif character.isspace():
            if started:
                yield "".join(word)
            word, started = [], False
        else:
            word.append(character)
            started = True
    if started:
        yield "".join(word)


def _escape(text: str, position: int) -> tuple[str, int]:
    """What the escape means whose text begins at `position`, and where it ends."""
    letter = text[position : position + 1]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], position + 1
    start, digits, base = position, 3, 8
    if letter in _NUMBERED:
        digits, base = _NUMBERED[letter]
        start += 1
    number = text[start : start + digits]
    allowed = "[0-7]" if base == 8 else "[0-9a-fA-F]"
    if re.fullmatch(f"{allowed}{{{digits}}}", number):
        code = int(number, base)
        if 0 < code <= 0x10FFFF:
            return chr(code), start + digits
    return "\\" + letter, position + len(letter)


def unescape_c(text: str) -> str:
    """`text` with its C escapes resolved."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        if text[position] == "\\":
            resolved, position = _escape(text, position + 1)
        else:
            resolved, position = text[position], position + 1
        parts.append(resolved)
    return "".join(parts)


# The user is that of the service manager, not of the service.
_EVERYWHERE = {
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "E": "/etc",
    "T": "/tmp",
    "V": "/var/tmp",
    "u": "root",
    "U": "0",
    "g": "root",
    "G": "0",
    "h": "/root",
    "s": "/bin/sh",
    "%": "%",
}
"""The specifiers that mean the same in every system unit."""


class Specifiers:
    """What `%n` and its like stand for in one unit, as far as an image can know it."""

    def __init__(self, name: str) -> None:
        stem = name.rpartition(".")[0]
        prefix, at, instance = stem.partition("@")
        final, plain = prefix.rpartition("-")[2], unescape(instance)
        self._meanings = {
            **_EVERYWHERE,
            "n": name,
            "N": stem,
            "p": prefix,
            "P": unescape(prefix),
            "i": instance,
            "I": plain,
            "j": final,
            "J": unescape(final),
            "f": "/" + (plain if at else unescape(prefix)).lstrip("/"),
        }

    def expand(self, text: str, unknown: Callable[[str], None] = lambda _: None) -> str:
        """`text` with its specifiers; `unknown` hears of those that only a machine has."""

        def meaning(found: re.Match[str]) -> str:
            if found[1] not in self._meanings:
                unknown(found[0])
                return found[0]
            return self._meanings[found[1]]

        return re.sub(r"%([a-zA-Z%])", meaning, text)


def unescape(name: str) -> str:
    """What a part of a unit's name stands for: `-` is `/`, `\\x2d` a character, systemd-escape(1)."""
    plain = name.replace("-", "/")
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), plain)


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile=, systemd.exec(5): a shell's assignments, no expansion."""
    variables: dict[str, str] = {}
    joined = re.sub(r"\\\n", "", re.sub(r"(?m)^\s*[#;].*\n?", "", text))
    pattern = r"""(?m)^[ \t]*([A-Za-z_]\w*)[ \t]*=[ \t]*((?:"(?:\\[\s\S]|[^"\\])*"|'[^']*'|\\.|[^\n"'\\])*)"""
    for found in re.finditer(pattern, joined):
        variables[found[1]] = _shell_value(found[2].strip())
    return variables


def _shell_value(text: str) -> str:
    parts = re.finditer(r""""((?:\\[\s\S]|[^"\\])*)"|'([^']*)'|\\(.)|([^"'\\]+)""", text)
    return "".join(
        re.sub(r'\\(["\\`$])', r"\1", part[1])
        if part[1] is not None
        else next(group for group in part.groups()[1:] if group is not None)
        for part in parts
    )


def assignments(values: Sequence[str]) -> dict[str, str]:
    """The variables of Environment= settings."""
    pairs = (word.partition("=") for value in values for word in split_words(value))
    return {name: value for name, equals, value in pairs if equals}
