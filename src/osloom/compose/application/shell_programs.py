"""What a program that is a shell script runs, and the image does not have.

No package says that it needs what every system has, Debian Policy 3.8: an application has none of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from osloom.compose.application.scripts.syntax import ScriptError, parse_script
from osloom.compose.application.scripts.walk import Walk, is_unknown
from osloom.model.search_path import file_at, is_program, places
from osloom.model.tree import Node, resolve_links

_SHELLS = ("sh", "dash", "bash")
_LARGEST = 1 << 20
"""Bytes of a script; larger programs are none."""
_START = re.compile(r"#!\s*\S*/(?:env )?(?:ba|da)?sh\b")
_BUILT_IN = frozenset(
    ". : [ alias bg break case cd command continue echo eval exec exit export false fc fg getopts "
    "hash jobs kill let local printf pwd read readonly return set shift source test times trap "
    "true type ulimit umask unalias unset wait [[ declare typeset shopt builtin".split()
)
_PACKAGES: Mapping[str, str] = {
    name: package
    for package, names in {
        "coreutils": "arch base64 basename cat chgrp chmod chown comm cp cut date dd df dirname du "
        "env expand expr fmt fold head hostid id install join link ln ls md5sum mkdir mkfifo mknod "
        "mktemp mv nice nl nohup nproc numfmt od paste pr printenv readlink realpath rm rmdir seq "
        "sha1sum sha256sum sha512sum shuf sleep sort split stat stdbuf stty sum sync tac tail tee "
        "timeout touch tr truncate tsort tty uname unexpand uniq unlink wc whoami yes",
        "grep": "egrep fgrep grep",
        "sed": "sed",
        "mawk": "awk",
        "findutils": "find xargs",
        "hostname": "dnsdomainname hostname",
        "bsdutils": "logger",
        "util-linux": "flock getopt mountpoint runuser setpriv su",
        "procps": "pgrep pkill ps sysctl",
        "sysvinit-utils": "pidof",
        "debianutils": "run-parts which",
        "diffutils": "cmp diff",
        "perl-base": "perl",
        "gzip": "gunzip gzip zcat",
        "tar": "tar",
    }.items()
    for name in names.split()
}
"""Where programs are that are essential, or nearly so."""


def missing_programs(
    words: Sequence[str], nodes: Mapping[str, Node], read: Callable[[str], str]
) -> tuple[str, ...]:
    """A sentence about what the program `words` would run in vain, if it is a shell script.

    `read` gives the text of a file of the image by its path without a leading slash. Nothing is run:
    what a script does with what it finds is not known, and not what files it reads run in turn.
    """
    script = _script(words, nodes, read)
    if script is None:
        return ()
    text, arguments = script
    try:
        reached = Walk(arguments, {}, lambda asked: _judged(asked, nodes)).run(parse_script(text))
    except (ScriptError, RecursionError):
        return ()
    run = dict.fromkeys(name for one in reached for name in _programs(one.words))
    # What is read from other files may be functions of theirs.
    alone = not any(one.words[:1] in ((".",), ("source",)) for one in reached)
    known = [name for name in run if alone or "/" in name or name in _PACKAGES]
    gone = [name for name in known if not _is_there(name, nodes)]
    if not gone:
        return ()
    owners = [_PACKAGES.get(name.rpartition("/")[2]) for name in gone]
    packages = sorted({f"`{one}`" for one in owners if one is not None})
    others = ["what has the others"] if None in owners else []
    shown = ", ".join(f"`{name}`" for name in gone)
    mend = ", ".join(packages + others) if packages else "what has them"
    return (f"the entrypoint is shell text that may run {shown}, not in the image: add {mend}",)


def _script(
    words: Sequence[str], nodes: Mapping[str, Node], read: Callable[[str], str]
) -> tuple[str, Sequence[str]] | None:
    """The text of the script that `words` start, and what it is called with."""
    if not words:
        return None
    if words[0].rpartition("/")[2] in _SHELLS:
        match words[1:]:
            case (option, text, *arguments) if re.fullmatch("-[a-z]*c", option):
                return text, arguments or ["sh"]
            case _:
                return None
    for place in places(words[0]):
        node = file_at(nodes, place)
        if node is not None and node.size <= _LARGEST:
            text = read(resolve_links(nodes, place))
            return (text, words) if _START.match(text) else None
    return None


def _programs(words: Sequence[str]) -> Iterator[str]:
    """The program of a command; of `exec` and the like that which they run."""
    rest = list(words)
    while rest and rest[0] in ("exec", "command", "nohup", "env"):
        if rest[0] not in _BUILT_IN:
            yield rest[0]
        rest = rest[1:]
        while rest and (rest[0].startswith("-") or "=" in rest[0]):
            rest = rest[1:]
    if rest and rest[0] and not is_unknown(rest[0]) and rest[0] not in _BUILT_IN:
        yield rest[0]


def _is_there(name: str, nodes: Mapping[str, Node]) -> bool:
    return any(is_program(nodes, place) for place in places(name))


def _judged(words: tuple[str, ...], nodes: Mapping[str, Node]) -> bool | None:
    match words:
        case ("-e" | "-f" | "-d" | "-L" | "-h" | "-x" | "-r" | "-s", path) if not is_unknown(path):
            if path.startswith(("/run/", "/proc/", "/sys/", "/dev/")):
                return None
            return resolve_links(nodes, path.strip("/")) in nodes
        case _:
            return None
