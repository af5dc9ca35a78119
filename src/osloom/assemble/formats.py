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

APPLIANCE: Mapping[str, str] = {
    "disk": "appliance.disk:plan_disk",
    "uki": "appliance.version:plan_uki",
}
"""What is made in another way of an appliance, a NixOS system or not: it is a version of many."""


def assembler(name: str, *, nixos: bool = False, appliance: bool = False) -> Assembler:
    place = (appliance and APPLIANCE.get(name)) or (nixos and NIXOS.get(name)) or FORMATS[name]
    module, _, function = place.partition(":")
    found: Assembler = getattr(importlib.import_module(f"osloom.assemble.{module}"), function)
    return found
