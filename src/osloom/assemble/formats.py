"""The output formats: one module each."""

from collections.abc import Mapping

from osloom.assemble import disk, initrd, oci, tar, uki
from osloom.assemble.request import Assembler

FORMATS: Mapping[str, Assembler] = {
    "oci": oci.plan,
    "nspawn": tar.plan_nspawn,
    "disk": disk.plan,
    "initrd": initrd.plan,
    "uki": uki.plan,
    "tar": tar.plan_tar,
}
