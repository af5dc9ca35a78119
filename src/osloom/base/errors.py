"""What can go wrong, as the user hears it.

    Error                    1  the work failed
    ├── UsageError           2  the command line is wrong
    ├── DefinitionError      2  osloom.toml is wrong: file, line, column
    ├── LockError            1  the lockfile is missing, stale or cannot be made
    ├── FetchError           1  bytes from elsewhere did not come, or were not what was promised
    ├── StoreError           1  the store cannot be read or written
    ├── CommandError         1  a program failed
    └── BuildError           1  a step failed

A message is `cannot <verb> <object>: <cause>`, lower case, without a final period. The hint is
what to do about it: a command or an edit. Addresses are shown without passwords, whoever wrote
the text: it goes to terminals and into logs.
"""

from typing import NamedTuple

from osloom.base.addresses import without_logins


class Where(NamedTuple):
    """A place in a text file; line and column count from 1, as editors do."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file, self.line, self.column]
        return ":".join(str(part) for part in parts if part is not None)


class Error(Exception):
    """A failure that the user can understand; anything else is a bug and keeps its traceback."""

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, where: Where | None = None, detail: str = ""
    ) -> None:
        self.message = without_logins(message)
        super().__init__(self.message)
        self.hint = hint if hint is None else without_logins(hint)
        self.where = where
        self.detail = without_logins(detail)
        """Longer text of another program (a script's output), shown under the message."""

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes: keyword arguments have to survive pickling.
        state = {"hint": self.hint, "where": self.where, "detail": self.detail}
        return (_restore, (type(self), self.message, state))


def _restore(kind: type[Error], message: str, state: dict[str, object]) -> Error:
    return kind(message, **state)  # type: ignore[arg-type]


class UsageError(Error):
    exit_code = 2


class DefinitionError(Error):
    exit_code = 2


class LockError(Error):
    pass


class FetchError(Error):
    pass


class StoreError(Error):
    pass


class CommandError(Error):
    pass


class BuildError(Error):
    pass


def nearest(name: str, names: list[str] | tuple[str, ...], *, count: int = 1) -> list[str]:
    """The names most like `name`, best first; empty when none is close."""
    import difflib

    return difflib.get_close_matches(name, names, n=count, cutoff=0.6)
