"""Containers of a project: what they run in."""

from osloom.api.build import Session, plan
from osloom.api.requests import architecture_of, variant_for_host
from osloom.assemble.base import settings_of
from osloom.model.definition import Image
from osloom.run.container import Container


def built_container(session: Session, name: str, image: Image) -> Container:
    """The image tree, which the layers hold, and what the sandbox needs beside it."""
    planned = plan(session, {name: image}, ("oci",))
    own = planned.images[name]
    outputs = [one.product.output for one in planned.outputs]
    digests = session.make([*outputs, own.tree, planned.tools, own.programs.fakeroot])
    tree, tools, fakeroot = digests[-3:]
    locked, _ = variant_for_host(name, image)
    settings = image.oci
    if own.base is not None:
        settings = settings_of(session.store, digests[0], architecture_of(image))
    return Container(
        tree=tree, tools=tools, fakeroot=fakeroot, settings=settings, epoch=session.epoch(locked)
    )
