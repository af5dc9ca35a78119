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
}
"""Each with its module in this package, and the function there."""


def assembler(name: str) -> Assembler:
    module, _, function = FORMATS[name].partition(":")
    found: Assembler = getattr(importlib.import_module(f"osloom.assemble.{module}"), function)
    return found
