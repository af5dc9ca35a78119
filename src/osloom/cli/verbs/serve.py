"""Serve a directory over HTTP, for trials of updates.

By default that is the channel of the definition, where that is a directory. It listens on this
machine alone, where a guest of QEMU reaches it at 10.0.2.2; `--address 0.0.0.0` listens on all
networks. Ctrl-C ends it.

Clients may ask for parts of files and continue where they were cut off. What is hidden, and what
symbolic links reach outside the directory, is not there for them.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.base.errors import UsageError
from osloom.cli.output import in_bytes

if TYPE_CHECKING:
    from osloom.run.http_handler import Served

_ENDS = (signal.SIGINT, signal.SIGTERM)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIRECTORY")
    parser.add_argument("--port", type=int, default=8080, help="0 for any (default: 8080)")
    parser.add_argument("--address", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="speak TLS; a PEM file"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, in PEM")


def run(arguments: argparse.Namespace) -> int:
    import json

    from osloom.run.serve import serving

    if arguments.tls_key is not None and arguments.tls_certificate is None:
        raise UsageError("cannot speak TLS with a key alone", hint="add `--tls-certificate FILE`")
    directory = arguments.directory or _channel(arguments)
    # Before there are threads: none of them is to take the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with serving(
        directory,
        arguments.address,
        arguments.port,
        certificate=arguments.tls_certificate,
        key=arguments.tls_key,
        log=_log,
    ) as server:
        if arguments.json:
            said = {"url": server.url, "address": server.address, "port": server.port}
            print(json.dumps(said), flush=True)
        else:
            print(f"serving {directory} at {server.url}; Ctrl-C ends it", flush=True)
        signal.sigwait(_ENDS)
    return 0


def _channel(arguments: argparse.Namespace) -> Path:
    from osloom.cli.context import project_of
    from osloom.fetch.storage.location import parse_location

    project = project_of(arguments)
    to = project.definition.release.to
    location = parse_location(to, project.directory) if to else None
    if location is None or location.kind != "directory":
        raise UsageError(
            "cannot tell what to serve: the definition's channel is no directory",
            hint="name a directory: `osloom serve DIRECTORY`",
        )
    return Path(location.base)


_guard = threading.Lock()


def _log(one: "Served") -> None:
    status = f"{one.status}{' cut' if one.cut else ''}" if one.status else "no request"
    words = (one.client, one.method, one.path, status, in_bytes(one.sent))
    # What a client sends must not steer the terminal.
    line = "  ".join("".join(c if c.isprintable() else "?" for c in word) for word in words)
    with _guard:
        print(line, file=sys.stderr, flush=True)
