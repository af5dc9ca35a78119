"""Containers of a project: what they run in."""

from osloom.api.build import Session, plan
from osloom.api.requests import variant_for_host
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
    return Container(
        tree=tree, tools=tools, fakeroot=fakeroot, settings=image.oci, epoch=session.epoch(locked)
    )
