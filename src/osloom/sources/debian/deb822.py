"""Stanzas of fields, as control files, indexes and sources are written: deb822(5)."""

import re


def parse_stanza(text: str) -> dict[str, str]:
    """One stanza as field to value; continuation lines keep their line breaks."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += f"\n{line}"
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def package_names(relations: str) -> frozenset[str]:
    """The names in a relation field: `a (>= 1), b | c:any` gives a, b, c."""
    return frozenset(
        re.split(r"[ (:\[]", part.strip(), maxsplit=1)[0]
        for part in re.split(r"[,|]", relations)
        if part.strip()
    )
