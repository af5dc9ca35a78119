"""What the maintainer scripts of a package would have done, read from their text.

With `configure = "none"` no script runs. Most scripts do nothing that an application container
needs (they start services, compile byte code, clean up after older versions); the others are
named. Some of what they do is understood well enough to be done without them.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from osloom.compose.application.scripts.changes import Change
from osloom.compose.application.scripts.commands import Alternative, understood
from osloom.compose.application.scripts.phrases import UNKNOWN, phrase
from osloom.compose.application.scripts.syntax import ScriptError, parse_script
from osloom.compose.application.scripts.walk import Reached, Walk
from osloom.compose.application.sysusers import Declared


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What the scripts of one package would do in a new image."""

    reasons: tuple[str, ...] = ()
    """What only the scripts can do, each as a phrase that follows “it would”."""
    alternatives: tuple[Alternative, ...] = ()
    users: tuple[Declared, ...] = ()
    """Accounts, as sysusers.d(5) would declare them."""
    changes: tuple[Change, ...] = ()
    """In the order of the scripts."""


_SECTION = re.compile(
    r"^# Automatically added by (\S+)\n(.*?)^# End automatically added section$",
    re.MULTILINE | re.DOTALL,
)
_HARMLESS_SECTIONS = {
    *("dh_installsystemd", "dh_installsystemduser", "dh_systemd_enable", "dh_systemd_start"),
    *("dh_installinit", "dh_installdeb", "dh_makeshlibs", "dh_python3", "dh_python2", "dh_pypy"),
    *("dh_icons", "dh_installmenu", "dh_apparmor", "dh_runit", "dh_installemacsen"),
    *("dh_usrlocal", "dh_installdebconf", "dh_installmime", "dh_installdirs", "dh_installwm"),
    *("dh_installudev", "dh_installmodules", "dh_desktop", "dh_scrollkeeper", "dh_installinfo"),
    # Read from what the package declares.
    *("dh_installsysusers", "dh_installtmpfiles", "dh_sysuser"),
}
"""What debhelper's tools add that no container needs."""

_ARGUMENTS = {"preinst": ("preinst", "install"), "postinst": ("postinst", "configure", "")}
"""As dpkg calls the scripts of a package that was never there, deb-preinst(5), deb-postinst(5)."""


def effects(
    name: str,
    scripts: Mapping[str, str],
    triggers: str = "",
    *,
    paths: Collection[str] | None = None,
) -> Effects:
    """What the scripts (`preinst`, `postinst`) of the package `name` would do in a new image.

    `triggers` is the text of deb-triggers(5). `paths`, those of the image's tree, decide what
    depends on files being there; without them such things are named. Nothing is run.
    """
    reached: list[Reached] = []
    reasons: list[str] = []
    for script, arguments in _ARGUMENTS.items():
        text = scripts.get(script, "")
        try:
            reached += _commands(name, text, arguments, paths)
        except (ScriptError, RecursionError):
            reasons.append(f"run its {script}, which is no plain shell script")
    found = understood(reached)
    reasons += [reason for one in found.left if (reason := phrase(one))]
    reasons += _activated(triggers)
    # What can be told in words comes first.
    reasons.sort(key=lambda reason: "$" in reason or "mv " in reason or reason == UNKNOWN)
    handled = name in _HANDLED
    return Effects(
        reasons=() if handled else tuple(dict.fromkeys(reasons)),
        alternatives=tuple(found.alternatives),
        users=found.users,
        changes=tuple(found.changes),
    )


_HANDLED = {
    # osloom makes the bundle of certificates itself.
    "ca-certificates",
    # They only ask questions, keep dpkg's own books or care for a system that runs.
    *("tzdata", "debconf", "base-files", "base-passwd", "libc-bin", "libc6", "dpkg", "ucf"),
    *("debianutils", "netbase", "kmod", "libwrap0", "emacsen-common", "readline-common"),
    *("login.defs", "sudo", "xfonts-utils", "man-db", "dash", "passwd"),
    *("systemd-sysv", "libwtmpdb0", "iproute2", "python3"),
    # Their caches are looked for by the files that they are made of.
    *("hicolor-icon-theme", "fontconfig", "libgdk-pixbuf-2.0-0", "libgtk-3-0t64"),
}
"""Packages left unnamed by judgement: an application container hardly needs what they do."""


def _commands(
    name: str, text: str, arguments: Sequence[str], paths: Collection[str] | None
) -> list[Reached]:
    if not text.strip():
        return []
    first = text.split("\n", 1)[0]
    if not re.fullmatch(r"#!\s*(/usr)?/bin/(env )?(ba|da)?sh(\s.*)?", first):
        raise ScriptError("it is not for the shell")
    plain = _SECTION.sub(_kept, text)

    def judge(words: tuple[str, ...]) -> bool | None:
        return _judged(words, paths)

    variables = {"DPKG_ROOT": "", "DPKG_MAINTSCRIPT_PACKAGE": name}
    return Walk(arguments, variables, judge).run(parse_script(plain))


def _kept(section: re.Match[str]) -> str:
    tool = section[1].partition("/")[0]
    return "" if tool in _HARMLESS_SECTIONS else section[2]


def _judged(words: tuple[str, ...], paths: Collection[str] | None) -> bool | None:
    match words:
        case ("-e" | "-f" | "-d" | "-L" | "-h" | "-x" | "-r" | "-s", path) if "$" not in path:
            if path.startswith(("/run/", "/proc/", "/sys/")):
                return False
            return None if paths is None else path.strip("/") in paths
        case ("dpkg", "--compare-versions", "", *_):
            # What is done for those who come from an older version.
            return False
        case ("getent" | "id" | "dpkg-statoverride" | "pidof" | "systemctl" | "ischroot", *rest):
            return False if words[0] != "dpkg-statoverride" or "--list" in rest else None
        case ("dpkg-maintscript-helper", "supports", *_):
            return True
        case _:
            return None


def _activated(triggers: str) -> list[str]:
    """Named triggers that others would act on; those of files are seen by the files."""
    named = [line.split() for line in triggers.splitlines() if line.startswith("activate")]
    known = {"ldconfig", "update-initramfs", "update-menus", "update-sgmlcatalog"}
    names = [words[1] for words in named if len(words) > 1]
    return [
        f"have the trigger {name} run"
        for name in dict.fromkeys(names)
        if name not in known and not name.startswith("/")
    ]
