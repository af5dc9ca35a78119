"""The grammar of shell scripts, as much of it as maintainer scripts use: POSIX.1-2024, XCU 2.

Text to structure and nothing else: words stay as they are written, with their quotes.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

Body = tuple["Statement", ...]


class Command(NamedTuple):
    """A simple command: its words, assignments first, and its redirections."""

    words: tuple[str, ...]
    redirects: tuple[tuple[str, str], ...] = ()
    """Operator and target."""


class If(NamedTuple):
    branches: tuple[tuple[Body, Body], ...]
    """Conditions and what follows from them; `else` has the empty condition."""


class Case(NamedTuple):
    subject: str
    arms: tuple[tuple[tuple[str, ...], Body], ...]


class For(NamedTuple):
    name: str
    words: tuple[str, ...]
    body: Body


class Loop(NamedTuple):
    condition: Body
    body: Body


class Function(NamedTuple):
    name: str
    body: Body


class Group(NamedTuple):
    """`{ … }` or `( … )`."""

    body: Body
    redirects: tuple[tuple[str, str], ...] = ()


class Pipeline(NamedTuple):
    parts: Body
    negated: bool = False


class AndOr(NamedTuple):
    left: "Statement"
    operator: str
    right: "Statement"


Statement = Command | If | Case | For | Loop | Function | Group | Pipeline | AndOr


class ScriptError(ValueError):
    """The text is no shell script, or one beyond this grammar."""


class _Token(NamedTuple):
    kind: str
    """`word`, `operator` or `end`."""
    text: str


_OPERATORS = re.compile(r"&&|\|\||;;&?|;&|<<-?|>>|<&|>&|<>|>\||[;&|()<>]")
_BLANK = re.compile(r"[^\S\n]+")
# Nothing in these means anything: they are passed at once.
_PLAIN = re.compile(r"[^\s\\'\"`$;&|()<>]+")
_PLAIN_IN_QUOTES = re.compile(r"[^\\\"`$]+")
_REDIRECTS = {"<", ">", ">>", "<<", "<<-", "<&", ">&", "<>", ">|"}
_MAX_DEPTH = 60


def parse_script(text: str) -> Body:
    """The statements of a script. Raises ScriptError."""
    try:
        parser = _Parser(_tokens(text))
        body = parser.body(())
    except IndexError as error:
        raise ScriptError("the script ends too early") from error
    parser.expect("", kind="end")
    return body


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    awaited: list[tuple[str, bool]] = []
    """Here-documents that begin after this line: their last line, whether tabs are stripped."""
    position = 0
    while position < len(text):
        character = text[position]
        if text.startswith("\\\n", position):
            position += 2
        elif character == "\n":
            position += 1
            tokens.append(_Token("operator", "\n"))
            for last, stripped in awaited:
                position = _here_document(text, position, last, stripped=stripped)
            awaited.clear()
        elif blank := _BLANK.match(text, position):
            position = blank.end()
        elif character == "#":
            position = _line_end(text, position)
        elif operator := _OPERATORS.match(text, position):
            position = operator.end()
            tokens.append(_Token("operator", operator[0]))
        else:
            end = _word_end(text, position)
            word = text[position:end].replace("\\\n", "")
            if tokens and tokens[-1].text in ("<<", "<<-") and tokens[-1].kind == "operator":
                awaited.append((re.sub(r"[\\'\"]", "", word), tokens[-1].text == "<<-"))
            # A number before a redirection belongs to it.
            if not (word.isdigit() and text[end : end + 1] in ("<", ">") and text[end : end + 1]):
                tokens.append(_Token("word", word))
            position = end
    return [*tokens, _Token("end", "")]


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _here_document(text: str, position: int, last: str, *, stripped: bool) -> int:
    while position < len(text):
        end = _line_end(text, position)
        line = text[position:end]
        position = end + 1
        if (line.lstrip("\t") if stripped else line) == last:
            break
    return position


def _word_end(text: str, position: int) -> int:
    while position < len(text):
        character = text[position]
        if plain := _PLAIN.match(text, position):
            position = plain.end()
        elif character == "\\":
            position += 2
        elif character == "'":
            position = _find(text, "'", position + 1)
        elif character == '"':
            position = _quoted_end(text, position + 1)
        elif character == "`":
            position = _find(text, "`", position + 1)
        elif text.startswith(("$(", "${"), position):
            position = _nested_end(text, position + 1)
        elif character.isspace() or character in ";&|()<>":
            break
        else:
            position += 1
    return min(position, len(text))


def _find(text: str, mark: str, position: int) -> int:
    end = text.find(mark, position)
    if end < 0:
        raise ScriptError(f"a {mark} is never closed")
    return end + 1


def _quoted_end(text: str, position: int) -> int:
    while position < len(text):
        if plain := _PLAIN_IN_QUOTES.match(text, position):
            position = plain.end()
        elif text[position] == "\\":
            position += 2
        elif text[position] == '"':
            return position + 1
        elif text[position] == "`":
            position = _find(text, "`", position + 1)
        elif text.startswith(("$(", "${"), position):
            position = _nested_end(text, position + 1)
        else:
            position += 1
    raise ScriptError('a " is never closed')


def _nested_end(text: str, position: int) -> int:
    """Behind the bracket that closes the one at `position`."""
    opening = text[position]
    closing = {"(": ")", "{": "}"}[opening]
    position += 1
    while position < len(text):
        character = text[position]
        if character == closing:
            return position + 1
        if character == "\\":
            position += 2
        elif character == "'" and opening == "(":
            position = _find(text, "'", position + 1)
        elif character == '"':
            position = _quoted_end(text, position + 1)
        elif text.startswith(("$(", "${"), position):
            position = _nested_end(text, position + 1)
        elif character == "(" and opening == "(":
            position = _nested_end(text, position)
        else:
            position += 1
    raise ScriptError(f"a {opening} is never closed")


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.position]

    def take(self) -> _Token:
        self.position += 1
        return self.tokens[self.position - 1]

    def at(self, *texts: str) -> bool:
        return self.next.text in texts and self.next.kind != "end"

    def expect(self, text: str, *, kind: str | None = None) -> None:
        token = self.take()
        if token.text != text or (kind and token.kind != kind):
            raise ScriptError(f"`{token.text}` stands where `{text}` should")

    def newlines(self) -> None:
        while self.at("\n"):
            self.take()

    def body(self, ends: tuple[str, ...]) -> Body:
        """Statements until one of the words `ends`, which stays."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ScriptError("it is nested too deeply")
        statements = []
        while True:
            while self.at("\n", ";", "&"):
                self.take()
            if self.next.kind == "end" or self.at(*ends):
                break
            statements.append(self.and_or())
        self.depth -= 1
        return tuple(statements)

    def and_or(self) -> Statement:
        left = self.pipeline()
        while self.at("&&", "||"):
            operator = self.take().text
            self.newlines()
            left = AndOr(left, operator, self.pipeline())
        return left

    def pipeline(self) -> Statement:
        negated = self.at("!")
        if negated:
            self.take()
        parts = [self.command()]
        while self.at("|"):
            self.take()
            self.newlines()
            parts.append(self.command())
        return Pipeline(tuple(parts), negated) if negated or len(parts) > 1 else parts[0]

    def command(self) -> Statement:
        starts: dict[str, Callable[[], Statement]] = {
            "if": self.if_,
            "case": self.case,
            "for": self.for_,
            "while": self.loop,
            "until": self.loop,
            "{": self.group,
            "(": self.group,
        }
        compound = starts.get(self.next.text)
        if compound:
            statement = compound()
            redirects = self.redirects()
            return Group((statement,), redirects) if redirects else statement
        if self.at("function"):
            self.take()
        follower = self.tokens[self.position + 1 : self.position + 3]
        if self.next.kind == "word" and [one.text for one in follower] == ["(", ")"]:
            return self.function()
        return self.simple()

    def redirects(self) -> tuple[tuple[str, str], ...]:
        found = []
        while self.next.kind == "operator" and self.next.text in _REDIRECTS:
            found.append((self.take().text, self.take().text))
        return tuple(found)

    def simple(self) -> Command:
        words: list[str] = []
        redirects: list[tuple[str, str]] = []
        while True:
            redirects += self.redirects()
            if self.next.kind != "word":
                break
            words.append(self.take().text)
        if not words and not redirects:
            raise ScriptError(f"`{self.next.text}` stands where a command should")
        return Command(tuple(words), tuple(redirects))

    def function(self) -> Function:
        name = self.take().text
        self.expect("(")
        self.expect(")")
        self.newlines()
        return Function(name, (self.command(),))

    def group(self) -> Group:
        closing = {"{": "}", "(": ")"}[self.take().text]
        body = self.body((closing,))
        self.expect(closing)
        return Group(body)

    def if_(self) -> If:
        branches: list[tuple[Body, Body]] = []
        self.expect("if")
        while True:
            condition = self.body(("then",))
            self.expect("then")
            branches.append((condition, self.body(("elif", "else", "fi"))))
            end = self.take().text
            if end == "else":
                branches.append(((), self.body(("fi",))))
                self.expect("fi")
            if end != "elif":
                return If(tuple(branches))

    def case(self) -> Case:
        self.expect("case")
        subject = self.take().text
        self.newlines()
        self.expect("in")
        arms = []
        self.newlines()
        while not self.at("esac"):
            if self.at("("):
                self.take()
            patterns = [self.take().text]
            while self.at("|"):
                self.take()
                patterns.append(self.take().text)
            self.expect(")")
            arms.append((tuple(patterns), self.body((";;", ";&", ";;&", "esac"))))
            if not self.at("esac"):
                self.take()
            self.newlines()
        self.expect("esac")
        return Case(subject, tuple(arms))

    def for_(self) -> For:
        self.expect("for")
        name = self.take().text
        words: list[str] = ['"$@"']
        self.newlines()
        if self.at("in"):
            self.take()
            words = []
            while self.next.kind == "word":
                words.append(self.take().text)
        while self.at(";", "\n"):
            self.take()
        return For(name, tuple(words), self.do())

    def loop(self) -> Loop:
        self.take()
        condition = self.body(("do",))
        return Loop(condition, self.do())

    def do(self) -> Body:
        self.expect("do")
        body = self.body(("done",))
        self.expect("done")
        return body
