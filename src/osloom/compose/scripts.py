"""What the definition asks of programs in the image: units, locales, its own scripts.

One run of the sandbox for all of them. Units are enabled by the image's own `systemctl`.
"""

import re
import shlex
from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.application.certificates import with_bundle
from osloom.compose.nix.environment import PROGRAMS
from osloom.compose.normalise import left_behind, matching, normalised, own_of, place_of
from osloom.compose.onto import with_untouched
from osloom.compose.sandboxed import run_over_tree
from osloom.engine.delta import apply_delta
from osloom.engine.sandbox import SESSION, Response
from osloom.engine.step import Job, action
from osloom.model.application import Derived
from osloom.model.definition import Script, Systemd
from osloom.model.tree import Node, Tree


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `run_scripts`."""

    epoch: int
    locale: str | None = None
    """One to make."""
    systemd: Systemd = Systemd()
    script: tuple[Script, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.locale or self.script) and self.systemd == Systemd()


def shell_text(work: Work) -> str:
    """The whole run as one shell script; each line that fails says which it was."""
    lines = ["#!/bin/sh", "set -u", "umask 022", 'failed() { echo "osloom-failed: $1"; exit 1; }']
    if work.locale:
        charset = work.locale.partition(".")[2] or "ISO-8859-1"
        lines.append(f"echo {shlex.quote(f'{work.locale} {charset}')} >>/etc/locale.gen")
        lines.append(f"locale-gen || failed {shlex.quote(f'locale {work.locale}')}")
    for verb in ("enable", "disable", "mask"):
        for unit in getattr(work.systemd, verb):
            failed = f"systemctl {verb} {unit}"
            words = shlex.join(["systemctl", "--no-reload", verb, unit])
            lines.append(f"{words} || failed {shlex.quote(failed)}")
    if work.systemd.default_target:
        target = shlex.quote(work.systemd.default_target)
        lines.append(f"systemctl set-default {target} || failed {target}")
    for number, script in enumerate(work.script):
        name = script_name(script, number)
        lines.append(f"{SESSION}/script-{number} </dev/null || failed {shlex.quote(name)}")
    return "\n".join(lines) + "\n"


def script_name(script: Script, number: int) -> str:
    return f"script {script.name or number + 1}"


@action(version=3, needs="userns")
def run_scripts(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` after the run. Raises BuildError with what the failed part said."""
    work = msgspec.convert(job.parameters["work"], Work)
    files = {"run": shell_text(work)}
    for number, script in enumerate(work.script):
        text = script.run if script.run.startswith("#!") else f"#!/bin/sh\nset -e\n{script.run}"
        files[f"script-{number}"] = text
    tree = job.tree()
    _check_programs(work, tree)
    environment = {"SYSTEMD_OFFLINE": "1", "DEBIAN_FRONTEND": "noninteractive"}
    if tree.resolve(PROGRAMS) in tree:
        environment["PATH"] = f"/usr/local/sbin:/usr/local/bin:{PROGRAMS}:/usr/sbin:/usr/bin"
    response, delta = run_over_tree(
        job,
        "run",
        files=files,
        environment=environment,
        epoch=work.epoch,
    )
    if response.status != 0:
        raise _failure(response)
    return {"tree": job.store.add_tree(apply_delta(tree, delta))}


def _check_programs(work: Work, tree: Tree) -> None:
    needed = [("sh", "dash", "scripts", bool(work.script))]
    needed += [("systemctl", "systemd", "units", work.systemd != Systemd())]
    for program, package, what, wanted in needed:
        places = (tree.resolve(f"{directory}/{program}") for directory in ("usr/bin", "bin"))
        if wanted and not any(place in tree for place in places):
            raise BuildError(
                f"cannot run {what}: the image has no `{program}`",
                hint=f"add the package `{package}`",
            )


def _failure(response: Response) -> BuildError:
    found = re.search(r"^osloom-failed: (.*)$", response.output, re.MULTILINE)
    what = found[1] if found else "the scripts"
    detail = "\n".join(
        line for line in response.output.splitlines() if not line.startswith("osloom-failed: ")
    )
    return BuildError(f"cannot run {what}: it failed in the sandbox", detail=detail[-6000:])


@action(version=5, light=True)
def finish(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` without what the definition removes and without what varies.

    If `scripts` have run, what they left goes, but neither `own`, as `customise` gives it, nor the
    directories of `derived`. With `certificates` the bundle is made that a script would have made. What is as in `base`,
    the tree of a base image, stays so.
    """
    tree = job.tree()
    blobs = job.store.blobs

    def add(data: bytes) -> Node:
        return Node("file", 0o644, size=len(data), digest=blobs.add(data))

    if job.parameters["certificates"]:
        tree = with_bundle(tree, blobs.read, add)
    removed = [place_of(tree, pattern) for pattern in job.parameters["remove"]]
    tree = tree.without(matching(tree, removed))
    gone = left_behind(tree, _own(job)) if job.parameters["scripts"] else ()
    made = normalised(tree, epoch=job.parameters["epoch"], add=add, gone=gone)
    if "base" in job.inputs:
        made = with_untouched(made, tree, job.tree("base"))
    return {"tree": job.store.add_tree(made)}


def _own(job: Job) -> list[str]:
    own: list[str] = []
    if "own" in job.inputs:
        own += msgspec.json.decode(job.store.blobs.read(job.digest("own")), type=list[str])
    if "derived" in job.inputs:
        data = job.store.blobs.read(job.digest("derived"))
        directories = msgspec.json.decode(data, type=Derived).directories
        own += own_of(place_of(job.tree(), path) for path in directories)
    return own
