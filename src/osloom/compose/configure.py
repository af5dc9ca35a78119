"""Configure packages: their own scripts, run by their own dpkg, in the sandbox.

First every preinst, then `dpkg --configure`: the same scripts that an installation runs, with the
same arguments, deb-preinst(5). They have all files in place from the start, no network, fixed
environment, and no service starts.
"""

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.control import Control
from osloom.compose.sandboxed import run_over_tree
from osloom.engine.delta import apply_delta
from osloom.engine.sandbox import SESSION, Response
from osloom.engine.step import Job, action
from osloom.sources.debian.deb822 import package_names

_SCRIPT = f"""#!/bin/sh
set -u
umask 022
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod 755 $policy
    made=$policy
fi
# Host keys are secrets and are made at the first start: where they seem to be there, no script
# spends time on keys that are thrown away.
if [ -e /var/lib/dpkg/info/openssh-server.postinst ]; then
    for kind in dsa ecdsa ed25519 rsa; do
        : >/etc/ssh/ssh_host_${{kind}}_key
    done
fi
while read -r package info architecture; do
    DPKG_MAINTSCRIPT_PACKAGE=$package DPKG_MAINTSCRIPT_ARCH=$architecture \\
        DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \\
        DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= DPKG_RUNNING_VERSION=1.22 \\
        "/var/lib/dpkg/info/$info.preinst" install </dev/null || {{
        echo "osloom: $package preinst $?"
        exit 1
    }}
done <{SESSION}/preinst
dpkg --force-confdef --force-unsafe-io --log=/dev/null --configure -a </dev/null || {{
    # Once more with a trace: which line it was, the first run does not say. Only bash counts
    # lines, and as root it takes no PS4 from its environment.
    dpkg-query -W -f='${{db:Status-Status}} ${{binary:Package}}\\n' |
        while read -r status package; do
            [ "$status" = half-configured ] || continue
            script=/var/lib/dpkg/info/$package.postinst
            [ -e "$script" ] || script=/var/lib/dpkg/info/${{package%%:*}}.postinst
            line=$(DPKG_MAINTSCRIPT_PACKAGE=${{package%%:*}} DPKG_MAINTSCRIPT_NAME=postinst \\
                bash -c 'PS4="+osloom-line \\$LINENO: "; set -x; . "$0"' "$script" configure '' \\
                2>&1 </dev/null | sed -n 's/^+*osloom-line \\([0-9]*\\):.*/\\1/p' | tail -n 1)
            [ -n "$line" ] || line=1
            echo "osloom: $package postinst $line $(sed -n "${{line}}p" "$script")"
            break
        done
    exit 1
}}
[ -z "${{made-}}" ] || rm -f "$made"
"""

_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    # osloom makes the initrd itself: kernel hooks need not.
    "INITRD": "No",
    "SYSTEMD_OFFLINE": "1",
}


def preinst_order(controls: Sequence[Control]) -> list[Control]:
    """Those with a preinst, each after what it depends on, as far as there are no cycles."""
    by_name = _by_name(controls)
    order: list[str] = []
    for fields in (("Pre-Depends", "Depends"), ("Pre-Depends",), ()):
        # Everything may use the users and groups that base-passwd makes.
        graph = {
            one.name: {need.name for need in _needs(one, by_name, fields)} | {"base-passwd"}
            for one in controls
        }
        try:
            order = list(
                TopologicalSorter({n: needs - {n} for n, needs in graph.items()}).static_order()
            )
        except CycleError:
            continue
        break
    return [by_name[name] for name in order if name in by_name and by_name[name].has("preinst")]


def _by_name(controls: Sequence[Control]) -> dict[str, Control]:
    """Packages by their own names and, where no package has it, by what they provide."""
    by_name = {control.name: control for control in controls}
    for control in controls:
        for provided in sorted(package_names(control.fields.get("Provides", ""))):
            by_name.setdefault(provided, control)
    return by_name


def _needs(
    control: Control, by_name: Mapping[str, Control], fields: Sequence[str]
) -> list[Control]:
    names = set().union(*(package_names(control.fields.get(field, "")) for field in fields))
    return [by_name[name] for name in sorted(names) if name in by_name]


@action(version=4, needs="userns")
def configure(job: Job) -> Mapping[str, Digest]:
    """The tree `tree`, with the unpacked packages of `controls` configured.

    Raises BuildError with the output.
    """
    controls = [Control(tree, job.store.blobs) for tree in job.trees("controls")]
    preinst = "".join(
        f"{one.name} {one.info_name} {one.fields['Architecture']}\n"
        for one in preinst_order(controls)
    )
    response, delta = run_over_tree(
        job,
        "configure",
        files={"configure": _SCRIPT, "preinst": preinst},
        environment=_ENVIRONMENT,
        epoch=job.parameters["epoch"],
    )
    if response.status != 0:
        raise _failure(response)
    return {
        "tree": job.store.add_tree(apply_delta(job.tree(), delta)),
        "log": job.store.blobs.add(response.output.encode(errors="replace")),
    }


def _failure(response: Response) -> BuildError:
    """Which package, which script and which line failed, with the script's own words."""
    detail = "\n".join(
        line for line in response.output.splitlines() if not line.startswith("osloom: ")
    )[-6000:]
    found = re.search(
        r"^osloom: (\S+) (preinst|postinst) ?(\d*) ?(.*)$", response.output, re.MULTILINE
    )
    if found is None:
        named = re.search(r"dpkg: error processing package (\S+)", response.output)
        what = f"`{named[1]}`" if named else "the packages"
        return BuildError(f"cannot configure {what}: dpkg failed", detail=detail)
    package, script, line, text = found.groups()
    place = f" at line {line}: `{text.strip()}`" if script == "postinst" and line else ""
    return BuildError(
        f"cannot configure `{package}`: its {script} failed{place}",
        detail=detail,
        hint="the package's script does not work here: leave the package out or report it",
    )
