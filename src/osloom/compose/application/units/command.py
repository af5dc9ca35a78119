"""The command lines of a service, systemd.service(5), and how they run in the foreground."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

import msgspec

from osloom.compose.application.units.file import split_words

_PREFIXES = "@-:+!|"


class Environment(msgspec.Struct, frozen=True):
    variables: dict[str, str]

    def expand(self, word: str) -> tuple[str, ...]:
        """A word of a command line: `$NAME` as a whole word gives any number of words."""
        whole = re.fullmatch(r"\$([A-Za-z_]\w*)", word)
        if whole:
            return split_words(self.variables.get(whole[1], ""))

        def value(found: re.Match[str]) -> str:
            return "$" if found[1] is None else self.variables.get(found[1], "")

        return (re.sub(r"\$\$|\$\{([A-Za-z_]\w*)\}", value, word),)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One program and its arguments, with everything replaced that is known."""

    words: tuple[str, ...]
    prefixes: str = ""
    """The special prefixes of the program."""
    called: str | None = None
    """What the program is told that its name is, when that is another."""

    @property
    def program(self) -> str:
        return self.words[0].rpartition("/")[2]

    @property
    def does_nothing(self) -> bool:
        return self.program in ("true", ":")

    def __str__(self) -> str:
        return shlex.join(self.words)


def without_user(command: Command) -> bool:
    """Whether the program is started with root's rights in spite of User=.

    `!!` asks for that only where the kernel has no ambient capabilities: nowhere today.
    """
    return "+" in command.prefixes or command.prefixes.count("!") == 1


def parse_commands(
    value: str, expand: Callable[[str], str], environment: Environment
) -> Iterator[Command]:
    """The commands of one assignment; a word `;` of its own stands between two."""
    words: list[str] = []
    # The escape has to outlive the splitting.
    for word in (*split_words(re.sub(r"(?<!\S)\\;(?!\S)", r"\\\\;", value)), ";"):
        if word != ";":
            words.append(";" if word == "\\;" else word)
        elif words:
            yield _command(words, expand, environment)
            words = []


def _command(words: list[str], expand: Callable[[str], str], environment: Environment) -> Command:
    program = words[0].lstrip(_PREFIXES)
    prefixes = words[0][: len(words[0]) - len(program)]
    arguments = [expand(word) for word in words[1:]]
    called = arguments.pop(0) if "@" in prefixes and arguments else None
    if ":" not in prefixes:
        arguments = [part for word in arguments for part in environment.expand(word)]
    return Command(words=(expand(program), *arguments), prefixes=prefixes, called=called)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How a service starts as the one program of a container."""

    words: tuple[str, ...]
    environment: dict[str, str] = {}
    """What has to be set besides what the unit says."""
    notes: tuple[str, ...] = ()


def in_foreground(commands: Sequence[Command], *, kind: str) -> Start:
    """The start of a service of Type=`kind` with the ExecStart= `commands`, at least one."""
    first = commands[0]
    start = Start(words=first.words)
    notes = []
    if len(commands) > 1:
        script = " && ".join(
            f"{{ {one} || true; }}" if "-" in one.prefixes else str(one) for one in commands
        )
        start = Start(words=("/bin/sh", "-c", script))
        notes.append("the service has several commands: the entrypoint is a shell that runs them")
    elif first.called not in (None, first.words[0], first.program):
        notes.append(
            f"the program is not told that its name is `{first.called}`: "
            "see that it does the same without"
        )
    if kind == "oneshot":
        notes.append("the service is a task that ends (Type=oneshot): the container ends with it")
    if kind == "dbus":
        notes.append("the service is reached over D-Bus, which no container has: give it a bus")
    if kind == "forking":
        known = foreground(first.words)
        if known is None:
            notes.append(
                f"`{first.program}` goes to the background (Type=forking) and the container would "
                "end at once: say the `entrypoint` with its option to stay in the foreground"
            )
        start = known or start
    return msgspec.structs.replace(start, notes=tuple(notes))


_APACHE = (
    ': "${APACHE_CONFDIR:=/etc/apache2}"; . "$APACHE_CONFDIR/envvars"; '
    'mkdir -p /run/lock "$APACHE_RUN_DIR/socks" "$APACHE_LOCK_DIR"; '
    'chown "$APACHE_RUN_USER" "$APACHE_RUN_DIR/socks" "$APACHE_LOCK_DIR"; '
    'exec /usr/sbin/apache2 -d "$APACHE_CONFDIR" -D FOREGROUND'
)
"""In place of apachectl, which would not hand on the signals that a container gets."""


_STAY = {"chronyd": "-d", "ngircd": "-n", "opendkim": "-f"}
"""What tells a program to stay."""


def foreground(words: tuple[str, ...]) -> Start | None:
    """What keeps a program in the foreground that otherwise leaves; None where it is not known.

    With Debian's packages each was seen to serve; chronyd only to start, for want of the clock.
    """
    match words[0].rpartition("/")[2], words[1:]:
        case "nginx", (*_, "-g", settings):
            off = re.sub(r"\bdaemon on;|$", "daemon off;", settings, count=1)
            return Start(words=(*words[:-1], off))
        case program, _ if program in _STAY:
            return Start(words=(*words, _STAY[program]))
        case "pg_ctlcluster", arguments:
            kept = tuple(one for one in arguments if one != "--skip-systemctl-redirect")
            return Start(words=(words[0], "--foreground", *kept))
        case "apachectl" | "apache2ctl", ("start",):
            return Start(words=("/bin/sh", "-c", _APACHE))
        case "systemd-helper", ("exec", *_) if "dnsmasq" in words[0]:
            options = "--keep-in-foreground --log-facility=-"
            return Start(words=words, environment={"DNSMASQ_OPTS": options})
        case _:
            return None


def asked_to_stop(command: Command) -> str | None:
    """The signal that an ExecStop= sends to the main process, when that is all it does."""
    signal: str | None = None
    match command.program, command.words[1:]:
        case "kill", ("-s" | "--signal", signal, _):
            pass
        case "kill", (option, _) if re.fullmatch("-[A-Z]+[0-9]*", option):
            signal = option[1:]
        case "start-stop-daemon", arguments if {"--stop", "--retry"} < set(arguments):
            retry = arguments[arguments.index("--retry") + 1 :]
            schedule = retry[0].partition("/")[0].lstrip("-") if retry else ""
            signal = "TERM" if schedule.isdigit() else schedule
        case "nginx", (*_, "-s", "quit"):
            signal = "QUIT"
        case "apachectl" | "apache2ctl", ("graceful-stop",):
            signal = "WINCH"
        case "pg_ctlcluster", (*_, "-m", "fast", _, "stop"):
            signal = "INT"
        case "kill", (_,):
            signal = "TERM"
        case _:
            pass
    return f"SIG{signal.removeprefix('SIG')}" if signal else None


_KINDS = {"/run": "runtime", "/var/run": "runtime", "/var/log": "logs", "/var/cache": "cache"}


def made_directories(
    commands: Sequence[Command],
) -> tuple[list[dict[str, object]], tuple[Command, ...]]:
    """What `mkdir`, `install -d`, `chown`, `chmod` make, and the commands that do other things."""
    made: dict[str, dict[str, object]] = {}
    left = []
    for command in commands:
        options, paths = _options(command.words[1:])
        match command.program:
            case "mkdir":
                pass
            case "install" if "d" in options:
                pass
            case "chown" if len(paths) > 1 and all(path in made for path in paths[1:]):
                user, _, group = paths[0].partition(":")
                for path in paths[1:]:
                    made[path] |= {"user": user or None, "group": group or None}
                continue
            case "chmod" if len(paths) > 1 and all(path in made for path in paths[1:]):
                if re.fullmatch("[0-7]{3,4}", paths[0]):
                    for path in paths[1:]:
                        made[path]["mode"] = int(paths[0], 8)
                    continue
                left.append(command)
                continue
            case _:
                left.append(command)
                continue
        for path in paths:
            mode = options.get("m", "")
            made[path] = {
                "path": path,
                "mode": int(mode, 8) if re.fullmatch("[0-7]{3,4}", mode) else 0o755,
                "kind": _kind(path),
                "user": options.get("o"),
                "group": options.get("g"),
            }
    return list(made.values()), tuple(left)


_LONG = {"mode": "m", "owner": "o", "group": "g", "directory": "d", "parents": "p"}


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The options of mkdir(1) and install(1) by letter, and the operands."""
    options: dict[str, str] = {}
    operands = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[_LONG.get(name, name)] = value
        elif word.startswith("-") and len(word) > 1:
            for position, letter in enumerate(word[1:], 1):
                if letter in "mog":
                    options[letter] = word[position + 1 :] or (rest.pop(0) if rest else "")
                    break
                options[letter] = ""
        else:
            operands.append(word)
    return options, operands


def _kind(path: str) -> str:
    for below, kind in _KINDS.items():
        if path.startswith(f"{below}/"):
            return kind
    return "configuration" if path.startswith("/etc/") else "state"
