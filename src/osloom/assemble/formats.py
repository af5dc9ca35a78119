"""The output formats: one module each, loaded when it is asked for."""

import importlib
from collections.abc import Mapping

from osloom.assemble.request import Assembler

FORMATS: Mapping[str, str] = {
    "oci": "oci:plan",
    "nspawn": "tar:plan_nspawn",
    "disk": "disk:plan",
    "initrd": "initrd:plan",
    "uki": "uki:plan",
    "tar": "tar:plan_tar",
    "sysext": "extension:plan_sysext",
    "confext": "extension:plan_confext",
}
"""Each with its module in this package, and the function there."""


NIXOS: Mapping[str, str] = {
    "disk": "nixos:plan_disk",
    "initrd": "nixos:plan_initrd",
    "nspawn": "nixos:plan_nspawn",
    "oci": "nixos:plan_oci",
    "uki": "nixos:plan_uki",
}
"""What is made in another way of an image that is a NixOS system: it brings its own initrd."""


def assembler(name: str, *, nixos: bool = False) -> Assembler:
    place = NIXOS.get(name, FORMATS[name]) if nixos else FORMATS[name]
    module, _, function = place.partition(":")
    found: Assembler = getattr(importlib.import_module(f"osloom.assemble.{module}"), function)
    return found
