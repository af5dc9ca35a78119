"""Files that packages bring for a cache that only a trigger of dpkg would write, deb-triggers(5)."""

import re
from collections.abc import Collection

_FILE_TRIGGERS = {
    "usr/share/glib-2.0/schemas/": ("gschemas.compiled", "glib-compile-schemas"),
    "usr/share/mime/packages/": ("../mime.cache", "update-mime-database"),
    "usr/share/fonts/": (None, "fc-cache"),
    "gdk-pixbuf-2.0/2.10.0/loaders/": ("../loaders.cache", "gdk-pixbuf-query-loaders"),
    "gtk-3.0/3.0.0/immodules/": ("../immodules.cache", "gtk-query-immodules-3.0"),
    "etc/ld.so.conf.d/": (None, "ldconfig"),
}
"""Where files lie that a program has to read into a cache, its file there, the program."""

_DEFAULT_LINKER = re.compile(
    r"etc/ld\.so\.conf\.d/([a-z0-9_]+-linux-gnu\w*|libc|fakeroot-.*)\.conf"
)
"""Directories of the dynamic loader's own list, and one that fakeroot finds by itself."""


def file_triggers(paths: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Paths of the image whose caches nobody made, each with the program that would."""
    found = {}
    for path in sorted(paths):
        for place, (cache, program) in _FILE_TRIGGERS.items():
            at = path.find(place)
            if at < 0 or program in found or _DEFAULT_LINKER.fullmatch(path):
                continue
            directory = path[: at + len(place)]
            if path == directory or path.endswith(".dir"):
                continue
            if cache is None or _joined(directory, cache) not in paths:
                found[program] = path if program == "ldconfig" else directory.rstrip("/")
    return tuple((path, program) for program, path in sorted(found.items()))


def _joined(directory: str, name: str) -> str:
    while name.startswith("../"):
        directory, name = directory.rstrip("/").rpartition("/")[0] + "/", name[3:]
    return directory + name
