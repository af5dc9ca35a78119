"""The commands that a script would come to, found without running it.

Conditions are judged where the text decides them (`[ "$1" = configure ]`); else both ways are
taken. So no command that matters is missed, and some that would not run are seen.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple

from osloom.compose.application.scripts.syntax import (
    AndOr,
    Body,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Loop,
    Pipeline,
    ScriptError,
    Statement,
)


class Reached(NamedTuple):
    """A command with its words as far as they are known; what is not keeps its `$`."""

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    """Files that its output goes to."""
    sure: bool = True
    """No condition stands before it that the text does not decide."""


class _End(Exception):  # noqa: N818
    """The script ends here, whatever the machine is like."""


class _Return(Exception):  # noqa: N818
    """The function ends here; the argument is how."""


Judge = Callable[[tuple[str, ...]], bool | None]


class Walk:
    """One walk with the script's arguments `$1` …; `judge` decides commands that look at the
    machine, and tests of files (`-e`, the path): None where it cannot."""

    def __init__(
        self, arguments: Sequence[str], variables: Mapping[str, str], judge: Judge
    ) -> None:
        self.reached: list[Reached] = []
        self._arguments = list(arguments)
        self._judge = judge
        self._variables: dict[str, str | None] = dict(variables)
        self._functions: dict[str, Body] = {}
        self._depth = 0
        self._unsure = 0
        """How many undecided conditions stand around the present command."""

    def run(self, body: Body) -> list[Reached]:
        """The commands of the whole script, in order."""
        with suppress(_End, _Return):
            self._body(body)
        return self.reached

    def _body(self, body: Body) -> bool | None:
        """Walk it; gives how its last command ends, None where that is not known."""
        result: bool | None = True
        for statement in body:
            result = self._statement(statement)
        return result

    def _statement(self, statement: Statement) -> bool | None:
        match statement:
            case Command():
                return self._command(statement)
            case AndOr():
                return self._and_or(statement)
            case Pipeline():
                return self._pipeline(statement)
            case Group():
                self._note((), statement.redirects)
                return self._body(statement.body)
            case If():
                self._if(statement)
            case Case():
                self._case(statement)
            case For():
                self._for(statement)
            case Loop():
                self._body(statement.condition)
                self._judged(statement.body, judgement=None)
            case Function():
                self._functions[statement.name] = statement.body
        return None

    def _judged(self, body: Body, *, judgement: bool | None) -> None:
        self._unsure += judgement is None
        if judgement is not False:
            self._body(body)
        self._unsure -= judgement is None

    def _if(self, statement: If) -> None:
        unsure = self._unsure
        for condition, body in statement.branches:
            judgement = self._body(condition) if condition else True
            self._judged(body, judgement=judgement)
            if judgement:
                break
            # What follows comes only where this did not hold.
            self._unsure += judgement is None
        self._unsure = unsure

    def _case(self, statement: Case) -> None:
        subject = self._word(statement.subject)
        for patterns, body in statement.arms:
            if is_unknown(subject):
                self._judged(body, judgement=None)
            elif any(fnmatchcase(subject, self._word(one)) for one in patterns):
                self._body(body)
                break

    def _for(self, statement: For) -> None:
        words = self._words(statement.words)
        literal = len(words) <= _MAX_TURNS and not any(_PATTERN.search(word) for word in words)
        for word in words if literal else [None]:
            self._variables[statement.name] = word
            self._judged(statement.body, judgement=True if literal else None)

    def _and_or(self, statement: AndOr) -> bool | None:
        left = self._statement(statement.left)
        skips = statement.operator == "||"
        if left is skips:
            return left
        self._unsure += left is None
        right = self._statement(statement.right)
        self._unsure -= left is None
        if left is None:
            return skips if right is skips else None
        return right

    def _pipeline(self, statement: Pipeline) -> bool | None:
        results = [self._statement(part) for part in statement.parts]
        if len(results) > 1 or results[0] is None:
            return None
        return results[0] is not statement.negated

    def _command(  # noqa: PLR0911  (one way out for each builtin)
        self, command: Command
    ) -> bool | None:
        rest = list(command.words)
        while rest and _ASSIGNMENT.match(rest[0]):
            word = rest.pop(0)
            if len(rest) == 0 or all(_ASSIGNMENT.match(one) for one in rest):
                self._assign(word)
        words = self._words(rest)
        if not words:
            self._note((), command.redirects)
            return self._assigned(command.words)
        match words[0]:
            case "local" | "export" | "readonly":
                for word in rest[1:]:
                    self._assign(word)
                return True
            case "exit" if not self._unsure:
                raise _End
            case "return" if self._depth and not self._unsure:
                raise _Return(words[1:] in ((), ("0",)))
            case "[" | "test":
                return self._test(words[1:-1] if words[0] == "[" else words[1:])
            case "true" | ":":
                return True
            case "false":
                return False
            case name if name in self._functions and self._depth < _MAX_DEPTH:
                return self._call(name, words[1:])
            case _:
                pass
        self._note(words, command.redirects)
        return self._judge(words)

    def _assigned(self, words: Sequence[str]) -> bool | None:
        """How assignments end: as the last command whose output is in one, and well without any."""
        quoted = [re.sub(r"'[^']*'", "", word) for word in words]
        asked = [found for word in quoted for found in _SUBSTITUTION.findall(word)]
        return self._judge(tuple("".join(asked[-1]).split())) if asked else True

    def _call(self, name: str, arguments: Sequence[str]) -> bool | None:
        before, self._arguments = self._arguments, [name, *arguments]
        unsure = self._unsure
        # Only conditions of its own make a function's return unsure.
        self._depth += 1
        result: bool | None = None
        try:
            result = self._body(self._functions[name])
        except _Return as ended:
            result = ended.args[0]
        self._depth -= 1
        self._arguments, self._unsure = before, unsure
        return result

    def _note(self, words: tuple[str, ...], redirects: Sequence[tuple[str, str]]) -> None:
        if len(self.reached) > _MAX_COMMANDS:
            raise ScriptError("it has too many commands")
        writes = tuple(
            target
            for operator, raw in redirects
            if operator in (">", ">>", ">|", "<>")
            if not (target := self._word(raw)).startswith(("/dev/", "/proc/", "&"))
        )
        if words or writes:
            self.reached.append(Reached(words, writes, not self._unsure))

    def _assign(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if equals:
            known = self._word(value)
            before = self._variables.get(name, known)
            # Set twice, once behind an undecided condition: it may be either.
            self._variables[name] = known if not self._unsure or before == known else None

    def _test(  # noqa: PLR0911  (one way out for each form)
        self, words: tuple[str, ...]
    ) -> bool | None:
        """test(1), three-valued: `-o` binds less than `-a`."""
        for operator, decided in (("-o", True), ("-a", False)):
            if operator in words[1:-1]:
                place = words.index(operator, 1)
                sides = [self._test(words[:place]), self._test(words[place + 1 :])]
                if decided in sides:
                    return decided
                return None if None in sides else not decided
        match words:
            case ():
                return False
            case ("!", *rest):
                result = self._test(tuple(rest))
                return None if result is None else not result
            case (one,):
                return None if is_unknown(one) else bool(one)
            case ("-n" | "-z" as operator, text):
                return None if is_unknown(text) else bool(text) is (operator == "-n")
            case (left, "=" | "==" | "!=" as operator, right):
                if is_unknown(left) or is_unknown(right):
                    return None
                return (left == right) is (operator != "!=")
            case _:
                return self._judge(words)

    def _words(self, raw: Sequence[str]) -> tuple[str, ...]:
        words: list[str] = []
        for one in raw:
            if one in ('"$@"', "$@", "$*"):
                words += self._arguments[1:]
            elif _PLAIN_VARIABLE.fullmatch(one):
                # Unquoted: its value is split, and nothing at all when it is empty.
                value = self._word(one)
                words += [value] if is_unknown(value) else value.split()
            else:
                words.append(self._word(one))
        return tuple(words)

    def _word(self, raw: str) -> str:
        """The word without its quotes; variables and substitutions not known stay written."""
        return _PARTS.sub(self._part, raw)

    def _part(  # noqa: PLR0911  (one way out for each quoting)
        self, found: re.Match[str]
    ) -> str:
        text = found[0]
        if text.startswith("'"):
            return text[1:-1]
        if text.startswith('"'):
            return _INNER_PARTS.sub(self._part, text[1:-1])
        if text.startswith("\\"):
            return text[1:]
        name = found["name"] or found["braced"]
        if not name:
            inner = text.removeprefix("$(").strip("`() ").split()
            # What a question answers with nothing stands for nothing.
            return "" if inner and self._judge(tuple(inner)) is False else text
        if name.isdigit():
            number = int(name)
            return self._arguments[number] if number < len(self._arguments) else ""
        value = self._variables.get(name)
        if found["present"] and name not in self._variables:
            return ""
        if value is None and found["default"] is not None and name not in self._variables:
            return self._word(found["default"])
        return text if value is None else value


def is_unknown(word: str) -> bool:
    """Whether a part of the word is only known where the script runs."""
    return "$" in word or "`" in word


_MAX_COMMANDS = 20_000
_MAX_TURNS = 60
_MAX_DEPTH = 10
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PATTERN = re.compile(r"[$`*?\[]")
_SUBSTITUTION = re.compile(r"\$\((?!\()([^)]*)\)|`([^`]*)`")
_PLAIN_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
_VARIABLE = (
    r"\$(?P<name>\w+)|\$\{(?P<braced>\w+)(?::?-(?P<default>[^{}]*)|(?P<present>:?\+[^{}]*))?\}"
)
_PARTS = re.compile(
    rf"""'[^']*'|"(?:\\.|\$\([^)]*\)|[^"\\])*"|\\.|\$\(.*\)|`[^`]*`|{_VARIABLE}""", re.DOTALL
)
_INNER_PARTS = re.compile(rf"""\\[$`"\\]|\$\([^)]*\)|`[^`]*`|{_VARIABLE}""", re.DOTALL)
