"""Make the keys that sign releases and images, or show which there are.

Nothing that is there is overwritten. Private keys stay on this machine: in no store, image or log.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.cli.context import now
from osloom.cli.output import print_json
from osloom.keys.places import ROLES

if TYPE_CHECKING:
    from osloom.keys.report import KeyReport
    from osloom.model.definition import Definition

_TEXT = """\
release.key      signs the checksums of every release
                 lost: devices take no update any more; stolen: they take anybody's
verity.key       signs the root hash of every root file system
                 lost: the next one needs a certificate that devices do not know yet
secure-boot/
  db.key         signs what the firmware starts
                 lost: KEK.key brings another certificate to the devices
  KEK.key        changes db; PK.key changes KEK
                 both are needed for that alone: keep them away from this machine
                 lost: somebody has to reset secure boot in the firmware of every device
  *.auth         enrol the certificates; systemd-boot does it by itself

The private parts, *.key, are ignored by git: keep a copy elsewhere.
Name them in osloom.toml:

[keys]
directory = "{directory}"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("new", "show"))
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIRECTORY",
        help="of the keys; new: `keys`, show: what the definition names (default)",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="new: what certificates say; the project's by default"
    )
    for role in ROLES:
        parser.add_argument(
            f"--{role}",
            metavar="URI",
            help=f"new: the {role} key is in this PKCS#11 token: write its public part alone",
        )


def run(arguments: argparse.Namespace) -> int:
    return _new(arguments) if arguments.action == "new" else _show(arguments)


def _new(arguments: argparse.Namespace) -> int:
    from osloom.keys.make import make_keys
    from osloom.keys.token import Token

    found = _find_definition(arguments)
    base = found[1] if found else Path.cwd()
    directory: Path = arguments.directory or base / "keys"
    name = arguments.name or (found[0].project.name if found else "osloom")
    given = vars(arguments)
    uris = {role: given[role.replace("-", "_")] for role in ROLES}
    tokens = {role: Token(uri, Path()) for role, uri in uris.items() if uri}
    written = make_keys(directory, name=name, now=now(), tokens=tokens)
    if arguments.json:
        print_json([str(path) for path in written])
    else:
        print(f"keys of {name} are in {directory}:\n")
        print(_TEXT.format(directory=os.path.relpath(directory, base)), end="")
        for role, uri in uris.items():
            if uri:
                print(f'{role} = "{uri}"')
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from osloom.keys.report import report_keys
    from osloom.model.providers import Keys

    found = None if arguments.directory else _find_definition(arguments)
    keys, base = (found[0].keys, found[1]) if found else (Keys(), Path())
    if keys == Keys():
        keys = Keys(directory=str(arguments.directory or "keys"))
    reports = report_keys(keys, base, now=now())
    if arguments.json:
        print_json(reports)
    else:
        for one in reports:
            _print(one)
    return 1 if any(one.problem for one in reports) else 0


def _find_definition(arguments: argparse.Namespace) -> "tuple[Definition, Path] | None":
    """The definition and its directory; None where there is none and none is asked for."""
    from osloom.base.errors import DefinitionError
    from osloom.definition.load import find_definition, load

    try:
        path: Path = arguments.file or find_definition(Path.cwd())
    except DefinitionError:
        return None
    # Files that it names may be the very keys that are not there yet.
    return load(path, check_files=False), path.parent


def _print(report: "KeyReport") -> None:
    """One key, its paths from here where they are below."""
    here = f"{Path.cwd()}{os.sep}"
    print(f"{report.name:12} {(report.problem or 'is well').replace(here, '')}")
    for said in report.warnings:
        print(f"  warning      {said.replace(here, '')}")
    for word, value in (
        ("public", report.public),
        ("private", report.private or "elsewhere"),
        ("algorithm", report.algorithm),
        ("fingerprint", report.fingerprint),
        ("valid until", report.expires or (report.fingerprint and "without end")),
    ):
        if value:
            print(f"  {word:12} {value.removeprefix(here)}")
