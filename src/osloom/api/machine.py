"""Machines for the outputs of a project: which tools, which disk, KVM or not."""

from pathlib import Path

from osloom.api.plan import plan, request_of
from osloom.api.requests import TOOLS, machine_name
from osloom.api.session import Session
from osloom.base.errors import UsageError
from osloom.base.progress import Event
from osloom.compose.plan import plan_files, plan_tools
from osloom.engine.tools import Tools
from osloom.model.appliance import Appliance, least_disk_size
from osloom.model.size import parse_size, whole_gib
from osloom.run.drives import overlay
from osloom.run.machine import Drive, Machine
from osloom.run.qemu import probe_kvm

_DEVICE = 4 << 30
"""Bytes of a device's disk, at least."""


def machine_tools(session: Session, architecture: str) -> Tools:
    """The tools image that holds QEMU and its firmware."""
    name = machine_name(architecture)
    if name not in session.lock.images:
        raise UsageError(
            "cannot start a machine: no image of the definition boots by itself",
            hint='add the output `disk` to one: `outputs = ["disk"]`',
        )
    (digest,) = session.make([plan_files("machine", session.lock.packages_of(name))])
    return Tools(session.store.checkout(digest))


def tools_of(session: Session) -> Tools:
    """The tools image of builds."""
    (digest,) = session.make([plan_tools(session.lock.packages_of(TOOLS))])
    return Tools(session.store.checkout(digest))


def built_disk(session: Session, name: str) -> Drive:
    """The image's disk, built now if it is not there; straight from the store."""
    image = session.project.image(name)
    planned = plan(session, {name: image}, ("disk",))
    (product,) = [one.product for one in planned.outputs]
    (digest,) = session.make([product.output])
    return Drive(path=session.store.blobs.path(digest), format=image.disk.format)


def booted_disk(session: Session, name: str, work: Path) -> Drive:
    """The same for one run: an appliance's has room for the data that its first boot makes."""
    disk, image = built_disk(session, name), session.project.image(name)
    appliance = request_of(session, name, image).appliance if image.disk.is_appliance else None
    return with_room(session, disk, appliance, work) if appliance else disk


def with_room(session: Session, disk: Drive, appliance: Appliance, work: Path) -> Drive:
    """An appliance's disk as a device would have it, written to and kept in `work`."""
    asked = parse_size(appliance.disk.size or "0")
    size = max(_DEVICE, asked, whole_gib(least_disk_size(appliance)))
    return overlay(tools_of(session), disk, work / "disk.qcow2", size=size)


def machine_for(
    session: Session, disk: Drive, tools: Tools, work: Path, **settings: object
) -> Machine:
    """A machine that boots `disk` and forgets what is written to it."""
    architecture = str(settings["architecture"])
    problem = probe_kvm(tools, work, architecture)
    said = f"no KVM ({problem}): emulating, which is slow" if problem else "using KVM"
    session.report(Event(kind="note", id="kvm", title=said))
    more = settings.pop("more", ())
    assert isinstance(more, tuple)
    return Machine(drives=(disk, *more), kvm=not problem, **settings)  # type: ignore[arg-type]
