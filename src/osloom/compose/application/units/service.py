"""An application image from a systemd service: the unit of a package as what a container needs.

The settings are those of systemd.service(5), systemd.exec(5) and systemd.kill(5). Nothing is run
and nothing is guessed: what a container cannot be told by its image becomes a note.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import msgspec

from osloom.base.errors import BuildError
from osloom.base.numbers import to_number
from osloom.compose.application.units.command import (
    Command,
    Environment,
    Start,
    asked_to_stop,
    in_foreground,
    made_directories,
    parse_commands,
    without_user,
)
from osloom.compose.application.units.file import (
    Specifiers,
    Unit,
    assignments,
    is_true,
    parse_environment_file,
    parse_unit,
    split_words,
)
from osloom.compose.application.units.notes import UNRUN, leftover_notes
from osloom.compose.application.units.search import unit_name

DirectoryKind = Literal["state", "cache", "logs", "runtime", "configuration"]

_DIRECTORIES: dict[str, tuple[DirectoryKind, str]] = {
    "StateDirectory": ("state", "/var/lib"),
    "CacheDirectory": ("cache", "/var/cache"),
    "LogsDirectory": ("logs", "/var/log"),
    "RuntimeDirectory": ("runtime", "/run"),
    "ConfigurationDirectory": ("configuration", "/etc"),
}


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """A directory that the service manager, or the unit's own commands, would make."""

    path: str
    """With its leading slash."""
    mode: int = 0o755
    kind: DirectoryKind
    user: str | None = None
    """Its owner where the unit's commands say so; else, as systemd has it, the service's user."""
    group: str | None = None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service as a container starts it."""

    entrypoint: tuple[str, ...]
    user: str | None = None
    """None: root."""
    group: str | None = None
    """None: the primary group of the user."""
    supplementary_groups: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    working_directory: str | None = None
    stop_signal: str | None = None
    """As `SIGQUIT`; None: SIGTERM."""
    directories: tuple[Directory, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports of the unit's sockets."""
    notes: tuple[str, ...] = ()
    """One sentence for each thing that was not carried over, with what to do."""

    @property
    def volumes(self) -> tuple[str, ...]:
        """The directories whose content outlives the container."""
        kept = ("state", "cache", "logs")
        return tuple(one.path for one in self.directories if one.kind in kept)


def carry_over(
    unit: str,
    *,
    name: str,
    drop_ins: Sequence[str] = (),
    sockets: Mapping[str, str] = {},
    answered: Collection[str] = (),
    environment: Mapping[str, str] = {},
    read: Callable[[str], str | None],
) -> Service:
    """What a container needs of the service `name`.

    `unit`, `drop_ins` and `sockets` (by name; those of other services do no harm) are texts. `read`
    gives the text of a file of the image by its path with a leading slash, None when there is none.
    `environment` goes before that of the unit; `answered` are settings that the definition has,
    `user` or `ports`: nobody need be asked for them. Raises BuildError when the unit starts no program.
    """
    whole = parse_unit(unit, *drop_ins)
    return _Carrying(whole, unit_name(name), sockets, answered, environment, read).service()


class _Carrying:
    """One `carry_over`, gathering its notes."""

    def __init__(
        self,
        unit: Unit,
        name: str,
        sockets: Mapping[str, str],
        answered: Collection[str],
        environment: Mapping[str, str],
        read: Callable[[str], str | None],
    ) -> None:
        self.unit = unit
        self.name = name
        self.specifiers = Specifiers(name)
        self.answered = answered
        self.environment = environment
        self.read = read
        self.notes: list[str] = []
        self.sockets = {
            socket: parse_unit(text)
            for socket, text in sorted(sockets.items())
            if self._serves(socket, parse_unit(text))
        }

    def service(self) -> Service:
        directories = self._directories()
        environment = self._environment(directories)
        commands = self._commands("ExecStart", environment)
        # Of the main process only its signals mean something before it runs.
        running = Environment({**environment.variables, "MAINPID": "$MAINPID"})
        start = self._start(commands)
        before = self._commands("ExecStartPre", environment)
        made, left = made_directories(before)
        directories += tuple(Directory(**one) for one in made)  # type: ignore[arg-type]
        as_root = any(without_user(command) for command in commands)
        user = self._user(as_root=as_root)
        signal, understood = self._stop(running)
        ports = self._ports()
        others = {key: self._commands(key, running) for key in UNRUN}
        if understood:
            del others["ExecStop"]
        self.notes += leftover_notes(
            self.unit,
            user=user,
            commands={**others, "ExecStartPre": left},
            sockets=tuple(self.sockets),
            read=self.read,
            expand=self._expand,
        )
        return Service(
            entrypoint=start.words,
            user=user,
            group=None if as_root else self._value("Group"),
            supplementary_groups=self._words("SupplementaryGroups"),
            environment=environment.variables | start.environment,
            working_directory=self._working_directory(user),
            stop_signal=signal,
            directories=tuple({one.path: one for one in reversed(directories)}.values())[::-1],
            ports=ports,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _serves(self, socket: str, unit: Unit) -> bool:
        """Whether the socket unit `socket` is one of this service's."""
        named = unit.value("Socket", "Service")
        if named is not None:
            return Specifiers(socket).expand(named) == self.name
        return socket.removesuffix(".socket") == self.name.removesuffix(
            ".service"
        ) or socket in self._words("Sockets")

    def _expand(self, text: str) -> str:
        return self.specifiers.expand(text, lambda specifier: self._not_known(specifier, text))

    def _not_known(self, specifier: str, text: str) -> None:
        self.notes.append(
            f"`{specifier}` in `{text}` is only known where the service runs: "
            "say what depends on it yourself"
        )

    def _value(self, key: str) -> str | None:
        value = self.unit.value("Service", key)
        return None if value is None else self._expand(value)

    def _words(self, key: str) -> tuple[str, ...]:
        return tuple(
            self._expand(word)
            for value in self.unit.values("Service", key)
            for word in split_words(value)
        )

    def _commands(self, key: str, environment: "Environment") -> tuple[Command, ...]:
        return tuple(
            command
            for value in self.unit.values("Service", key)
            for command in parse_commands(value, self._expand, environment)
        )

    def _directories(self) -> tuple[Directory, ...]:
        directories = []
        for key, (kind, below) in _DIRECTORIES.items():
            mode = self.unit.value("Service", f"{key}Mode") or ""
            for word in self._words(key):
                # `name:link:flags`; the links are a convenience.
                path = f"{below}/{word.partition(':')[0]}"
                directories.append(Directory(path=path, mode=_mode(mode), kind=kind))
        return tuple(directories)

    def _environment(self, directories: Sequence[Directory]) -> Environment:
        variables = {}
        for name, written in assignments(self.unit.values("Service", "Environment")).items():
            unknown: list[str] = []
            known = self.specifiers.expand(written, unknown.append)
            if not unknown:
                variables[name] = known
            elif name not in self.environment:
                # Not set it has the program's own default.
                self._not_known(unknown[0], f"{name}={written}")
        # systemd tells the service where its directories are.
        for key, (kind, _) in _DIRECTORIES.items():
            paths = [one.path for one in directories if one.kind == kind]
            if paths:
                variables[re.sub("(?<=[a-z])(?=D)", "_", key).upper()] = ":".join(paths)
        for value in self.unit.values("Service", "EnvironmentFile"):
            path = self._expand(value.removeprefix("-"))
            text = None if "*" in path else self.read(path)
            if text is not None:
                variables |= parse_environment_file(text)
            elif not value.startswith("-"):
                self.notes.append(
                    f"the environment file {path} is not in the image: add it, or say `env`"
                )
        for name in self._words("UnsetEnvironment"):
            variables.pop(name.partition("=")[0], None)
        return Environment({**variables, **self.environment})

    def _start(self, commands: tuple[Command, ...]) -> Start:
        if not commands or all(command.does_nothing for command in commands):
            raise BuildError(
                f"cannot make an entrypoint of `{self.name}`: it starts no program",
                hint="it only stands for other units: name the one that does the work, "
                "or say the `entrypoint` yourself",
            )
        start = in_foreground(commands, kind=self.unit.value("Service", "Type") or "simple")
        self.notes += start.notes
        return start

    def _user(self, *, as_root: bool) -> str | None:
        user = self._value("User")
        if user is None and is_true(self.unit.value("Service", "DynamicUser")):
            user = self.name.removesuffix(".service")
        if user is not None and as_root:
            self.notes.append(
                f"the program is started as root although the unit says User={user}, because "
                "of the prefix of its ExecStart=: it changes to that user by itself"
            )
            return None
        if user is None and "user" not in self.answered:
            self.notes.append(
                "the unit names no user, so the program starts as root: "
                "say `user` when it need not (many change to their own user by themselves)"
            )
        return user

    def _working_directory(self, user: str | None) -> str | None:
        value = self._value("WorkingDirectory")
        if value is None:
            return None
        path = value.removeprefix("-")
        if path != "~":
            return path
        for line in (self.read("/etc/passwd") or "").splitlines():
            fields = line.split(":")
            if len(fields) == 7 and fields[0] == (user or "root"):
                return fields[5]
        self.notes.append("the service starts in its user's home: say `working_directory`")
        return None

    def _stop(self, environment: Environment) -> tuple[str | None, bool]:
        """The signal that ends the service, and whether that is all that ExecStop= does."""
        commands = self._commands("ExecStop", environment)
        signals = [asked_to_stop(command) for command in commands]
        if len(signals) == 1 and signals[0] is not None:
            return (None if signals[0] == "SIGTERM" else signals[0]), True
        signal = self._value("KillSignal")
        if signal is not None and not signal.startswith("SIG") and not signal.isdigit():
            signal = f"SIG{signal}"
        return (None if signal in ("SIGTERM", "15") else signal), False

    def _ports(self) -> tuple[int, ...]:
        ports: list[int] = []
        for socket, unit in self.sockets.items():
            for value in unit.values("Socket", "ListenStream"):
                port = to_number(value.rpartition(":")[2], 65535)
                if port:
                    ports.append(port)
            inetd = is_true(unit.value("Socket", "Accept"))
            what = "is started anew for each connection" if inetd else "can get its sockets"
            self.notes.append(
                f"the service {what} from {socket}, which no container has: "
                "see that the program listens itself"
            )
        if not ports and "ports" not in self.answered:
            self.notes.append("the unit states no port: say `ports` when the program listens")
        return tuple(dict.fromkeys(ports))


def _mode(text: str) -> int:
    """Permission bits; of what is none, and of nothing, what systemd has by default."""
    return int(text, 8) if re.fullmatch("0?[0-7]{1,4}", text) else 0o755
