"""Bootspec: how a NixOS system is booted, as the file `boot.json` of its toplevel says it.

RFC 125, https://github.com/NixOS/rfcs/blob/master/rfcs/0125-bootspec.md, and the names that nixpkgs
writes since, `org.nixos.bootspec.v1` and `org.nixos.specialisation.v1`
(nixos/modules/system/activation/bootspec.nix).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from osloom.base.errors import BuildError
from osloom.model.closure import STORE
from osloom.model.values import SYSTEMS

V1 = "org.nixos.bootspec.v1"
PROFILE = "nix/var/nix/profiles/system"
"""In the root of a NixOS system, the link to its newest generation."""
FIRST = f"{PROFILE}-1-link"
"""The generation that an image has, a link to its toplevel."""
_SPECIALISATIONS = "org.nixos.specialisation.v1"
_FAMILY = "org.nixos.bootspec."
_PATHS = ("init", "initrd", "initrdSecrets", "kernel", "toplevel")


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What starts one system."""

    system: str
    """Processor and kernel: `x86_64-linux`."""
    init: str
    """What the initrd starts."""
    kernel: str
    kernel_params: tuple[str, ...]
    label: str
    """For people: `NixOS 25.11 (Linux 6.12.57)`."""
    toplevel: str
    initrd: str | None = None
    initrd_secrets: str | None = None
    """A program that adds secrets of the machine to the initrd. osloom never runs it."""

    @property
    def command_line(self) -> tuple[str, ...]:
        """Words of the kernel's command line."""
        return (f"init={self.init}", *self.kernel_params)


class Bootspec(msgspec.Struct, frozen=True, kw_only=True):
    """A system, and those that are built beside it."""

    entry: Entry
    specialisations: dict[str, "Bootspec"]
    """By name, in order; they have none of their own."""
    extensions: dict[str, Any]
    """What else the document holds, as it is: `org.nixos.systemd-boot`, others' own."""


def parse_bootspec(data: bytes, *, closure: frozenset[str], architecture: str) -> Bootspec:
    """The document `data`, for a system whose store paths have the base names `closure`.

    `architecture` is as Debian says it. Raises BuildError when the document is none of this
    version, names what is not in the closure, or is for another machine.
    """
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(str(error)) from error
    return _system(document, closure=closure, architecture=architecture, nested=False)


def _system(
    document: object, *, closure: frozenset[str], architecture: str, nested: bool
) -> Bootspec:
    if not isinstance(document, dict):
        raise _unreadable("it is no JSON object")
    if V1 not in document:
        raise _other_version(document)
    try:
        entry = msgspec.convert(document[V1], Entry)
    except msgspec.ValidationError as error:
        raise _unreadable(f"in `{V1}` {_plainly(str(error))}") from error
    _check(entry, document[V1], closure, architecture)
    # NixOS ignores those of a specialisation, nixos/modules/system/activation/specialisation.nix
    others = {} if nested else document.get(_SPECIALISATIONS, {})
    if not isinstance(others, dict):
        raise _unreadable(f"`{_SPECIALISATIONS}` is no JSON object")
    return Bootspec(
        entry=entry,
        specialisations={
            _named(name): _system(one, closure=closure, architecture=architecture, nested=True)
            for name, one in sorted(others.items())
        },
        extensions={
            name: value for name, value in document.items() if name not in (V1, _SPECIALISATIONS)
        },
    )


def _check(
    entry: Entry, said: Mapping[str, Any], closure: frozenset[str], architecture: str
) -> None:
    if entry.system != SYSTEMS[architecture][0]:
        raise BuildError(
            f"cannot use the NixOS system: it is for {entry.system}, "
            f"and the image for {SYSTEMS[architecture][0]}",
            hint="set `architecture` of the image, or build the system for another `system`",
        )
    for key in _PATHS:
        if (path := said.get(key)) is not None and not _is_in(path, closure):
            raise BuildError(
                f"cannot use the NixOS system: `{key}` of its boot.json is {path}, "
                "which is not in its closure",
                hint="build the system again, and then `osloom lock`",
            )
    if any(not word or set(word) & set("\n\0") for word in entry.kernel_params):
        raise _unreadable("`kernelParams` has a word that is empty or of two lines")


def _is_in(path: str, closure: frozenset[str]) -> bool:
    first, *rest = path.removeprefix(f"{STORE}/").split("/")
    return path.startswith(f"{STORE}/") and first in closure and not {"", ".", ".."} & set(rest)


def _named(name: str) -> str:
    """A name of a specialisation, which becomes part of a file's name."""
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise BuildError(
            f"cannot use the NixOS system: no file can be named for its specialisation {name!r}",
            hint="give it another name: letters, digits and `-`",
        )
    return name


def _other_version(document: Mapping[str, Any]) -> BuildError:
    others = sorted(name for name in document if name.startswith(_FAMILY))
    if others:
        return BuildError(
            f"cannot use the NixOS system: its boot.json is {others[0]}, and osloom reads {V1}",
            hint="use a newer osloom, or an older nixpkgs",
        )
    if "v1" in document:
        return BuildError(
            "cannot use the NixOS system: its boot.json is a preview from before NixOS 23.05",
            hint="build it with a newer nixpkgs",
        )
    return _unreadable(f"it has no `{V1}`")


def _unreadable(why: str) -> BuildError:
    return BuildError(
        f"cannot read boot.json of the NixOS system: {why}",
        hint="build the system again with `boot.bootspec.enableValidation = true`",
    )


def _plainly(said: str) -> str:
    """msgspec's words as the end of a sentence."""
    text = said.replace("Object missing required field", "there is no")
    return text[:1].lower() + text[1:]
