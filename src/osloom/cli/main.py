"""The command line: arguments in, one verb run, an exit status out."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from osloom.base.errors import Error, UsageError, nearest
from osloom.cli import verbs

VERSION = "0.1.0"


class _Parser(argparse.ArgumentParser):
    """argparse with this project's words and exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        import re

        found = re.match(r"argument \S+: invalid choice: '([^']+)' \(choose from (.*)\)", message)
        if found:
            names = [name.strip(" '") for name in found[2].split(",")]
            close = nearest(found[1], names)
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(names)}"
            raise UsageError(f"unknown command `{found[1]}`", hint=hint)
        raise UsageError(message, hint=f"`{self.prog} --help` tells more")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Of all verbs, or of the one that is given: the others are not even imported."""
    top = _Parser(
        prog="osloom",
        description="One definition file, every kind of Linux image.",
        epilog="Exit status: 0 done, 1 the work failed, 2 the command line or definition is wrong.",
    )
    top.add_argument("--version", action="version", version=f"osloom {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in verbs.NAMES if only is None else (only,):
        verb = verbs.find_verb(name)
        description = (verb.__doc__ or "").strip()
        one = commands.add_parser(name, help=description.splitlines()[0], description=description)
        _add_common(one)
        verb.add_arguments(one)
        one.set_defaults(run=verb.run)
    return top


def _add_common(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "-f", "--file", type=Path, metavar="FILE", help="the definition; found by itself"
    )
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.add_argument(
        "--progress",
        choices=("auto", "live", "plain", "json"),
        default="auto",
        help="how to show progress",
    )
    one.add_argument("--store", type=Path, metavar="DIRECTORY", help="the store; or OSLOOM_STORE")


def _named(words: Sequence[str]) -> str | None:
    """The verb, where it is certain that it is one."""
    return words[0] if words and words[0] in verbs.NAMES else None


def _divide(words: list[str]) -> tuple[list[str], list[str]]:
    """What is for osloom, and what is behind `--`: for the program that it starts.

    argparse would take no more arguments for a list that options have cut in two.
    """
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _hand_on(arguments: argparse.Namespace, behind: list[str]) -> None:
    if not hasattr(arguments, "arguments"):
        raise UsageError(f"`osloom {arguments.command}` takes nothing behind `--`")
    arguments.arguments += behind


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit status."""
    own, behind = _divide(list(argv) if argv is not None else sys.argv[1:])
    as_json = "--json" in own
    try:
        arguments = parser(_named(own)).parse_args(own)
        if arguments.command is None:
            parser().print_help()
            return 0
        if behind:
            _hand_on(arguments, behind)
        status: int = arguments.run(arguments)
        # Here it can be told what comes of it.
        if sys.stdout is not None:
            sys.stdout.flush()
    except Error as error:
        from osloom.cli.output import error_json, print_error, print_json

        if as_json:
            print_json(error_json(error))
        else:
            print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the next run continues where this one was", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _give_up_output()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        from osloom.cli.output import print_error

        what = error.filename or "the output"
        print_error(Error(f"cannot write {what}: {error.strerror}", hint="free some space"))
        _give_up_output()
        return 1
    return status


def _give_up_output() -> None:
    """Python writes what is left when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
