"""An appliance on trial: versions of it made from the definition, a channel, and a device.

Nothing of the project is touched: versions are numbered from 1, signed by keys of the trial's own,
and published into a directory that lasts as long as the trial.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from osloom.api.machine import machine_for, machine_tools, tools_of, with_room
from osloom.api.plan import request_of
from osloom.api.release import Wanted, release
from osloom.api.requests import architecture_of
from osloom.api.scenarios.device import Device
from osloom.api.session import Session
from osloom.assemble.appliance.disk import plan_disk_of
from osloom.assemble.appliance.version import plan_version
from osloom.base.progress import Event
from osloom.keys.make import make_keys
from osloom.keys.places import FILES, Role
from osloom.model.appliance import Appliance
from osloom.model.definition import Image
from osloom.model.providers import Keys
from osloom.model.update import Update
from osloom.run import agent
from osloom.run.drives import enlarge, overlay
from osloom.run.keyboard import Keyboard
from osloom.run.machine import Drive
from osloom.run.serve import serving

Change = Callable[[Image], Image]

_HOST = "10.0.2.2"
"""This machine, as a machine in QEMU reaches it."""
TRIES = 2
"""A failing boot takes a minute under emulation: the count is what is tried, not its length."""
_DIRECTORY_NAME = "channel"
_PASSPHRASE = "of a trial"


class Trial:
    """See the module. Made by `trial`."""

    def __init__(self, session: Session, name: str, work: Path, url: str, *, now: int) -> None:
        self.session = session
        self.name = name
        self.work = work
        self.newest = 0
        """The version that was published last."""
        self._url = f"{url}{name}/"
        make_keys(self.keys, name="trial", now=now)
        self.now = now

    @property
    def keys(self) -> Path:
        """The directory with the trial's own keys."""
        return self.work / "keys"

    @property
    def channel(self) -> Path:
        """The directory with the image's releases."""
        return self.work / _DIRECTORY_NAME / self.name

    @property
    def id(self) -> str:
        return f"{self.session.project.definition.project.name}-{self.name}"

    def image(self, change: Change | None = None) -> Image:
        """The definition's image, looking for updates in the trial's channel."""
        own = self.session.project.image(self.name)
        update = msgspec.structs.replace(own.update, url=self._url, reboot="now", tries=TRIES)
        made = msgspec.structs.replace(own, update=update)
        return change(made) if change else made

    def publish(self, change: Change | None = None, *, signed: bool = True) -> int:
        """Release one more version, with a change to the image; gives its number.

        Not `signed` has a UKI without signature; the release itself always has one.
        """
        if self.newest:
            kept = self.saved(self.newest)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.channel, kept, symlinks=True, copy_function=os.link)
        self.newest += 1
        version = self.newest
        self.note(f"release version {version}")
        release(
            self._session(version, change, without=None if signed else "secure-boot"),
            {self.name: self.image(change)},
            Wanted(to=str(self.work / _DIRECTORY_NAME), whole=False, bounded=signed),
            now=self.now,
        )
        return version

    def publish_extension(
        self, name: str, version: int, change: Change, *, signed: bool = True
    ) -> None:
        """Release a version of an extension that the device takes, with a change to it.

        Not `signed` has a root hash without signature.
        """
        session = self._session(version, None, without=None if signed else "verity")
        definition = session.project.definition
        image = change(definition.image[name])
        session = session.with_definition(
            msgspec.structs.replace(definition, image={**definition.image, name: image})
        )
        self.note(f"release version {version} of {name}")
        wanted = Wanted(to=str(self.work / _DIRECTORY_NAME), whole=False)
        release(session, {name: image}, wanted, now=self.now)

    def saved(self, version: int) -> Path:
        """The channel as it was when `version` was the newest."""
        return self.work / "saved" / str(version)

    def disk(self, version: int, work: Path, size: int | None = None) -> Drive:
        """A device's disk as it is first written, kept in `work`: of `size` bytes, whatever that
        cuts off, or with room for data."""
        request = request_of(self._session(version, None), self.name, self.image())
        (digest,) = self.session.make([plan_disk_of(request, plan_version(request), "raw")])
        base = Drive(path=self.session.store.blobs.path(digest))
        if size is not None:
            return overlay(tools_of(self.session), base, work / "disk.qcow2", size=size)
        assert request.appliance is not None
        return with_room(self.session, base, request.appliance, work)

    def appliance(self) -> Appliance:
        """What its disks and versions are made of."""
        appliance = request_of(self._session(1, None), self.name, self.image()).appliance
        assert appliance is not None
        return appliance

    def enlarge(self, device: Device, more: int) -> None:
        """Give the disk of a device whose power is off `more` bytes."""
        for drive in device.drives:
            enlarge(tools_of(self.session), drive, more)

    @contextlib.contextmanager
    def device(
        self, version: int = 1, *, size: int | None = None, **settings: object
    ) -> Iterator[Device]:
        """A device with `version` that has never been started; `size` is that of its disk."""
        architecture = architecture_of(self.image())
        tools = machine_tools(self.session, architecture)
        asks = self.image().disk.data.encryption == "passphrase"
        with self.session.store.working_directory() as work:
            machine = machine_for(
                self.session,
                self.disk(version, work, size),
                tools,
                work,
                architecture=architecture,
                credentials=agent.credentials(masked=self._timers()),
                test_socket=True,
                console_log=True,
                console_socket=asks,
                reboots=True,
                **settings,
            )
            keyboard = Keyboard(work, _PASSPHRASE) if asks else None
            with Device(machine, tools, work, keyboard) as device:
                yield device

    def _timers(self) -> list[str]:
        """What would have the device look for updates while nobody expects it."""
        names = self.image().update.extensions
        return ["osloom-update.timer", *(f"osloom-update@{name}.timer" for name in names)]

    def note(self, text: str) -> None:
        self.session.report(Event(kind="note", id=text, title=text))

    def _session(
        self, version: int, change: Change | None, *, without: Role | None = None
    ) -> Session:
        """That of the definition with the trial's keys, or with all but the one for `without`."""
        definition = self.session.project.definition
        # They are looked for beside the system's own releases.
        beside = {
            name: msgspec.structs.replace(definition.image[name], update=Update())
            for name in self.image(change).update.extensions
        }
        trial = msgspec.structs.replace(
            definition,
            project=msgspec.structs.replace(definition.project, version=str(version)),
            image={**definition.image, **beside, self.name: self.image(change)},
            keys=Keys(directory=str(self.keys)) if without is None else self._keys_but(without),
        )
        return self.session.with_definition(trial)

    def _keys_but(self, role: Role) -> Keys:
        private = {one: (self.keys / name).with_suffix(".key") for one, name in FILES.items()}
        return msgspec.convert({one: str(private[one]) for one in FILES if one != role}, Keys)


@contextlib.contextmanager
def trial(session: Session, name: str, *, now: int) -> Iterator[Trial]:
    """A trial of the appliance `name`, with version 1 published; `now` in seconds since 1970."""
    with session.store.working_directory() as work:
        (work / _DIRECTORY_NAME).mkdir()
        with serving(work / _DIRECTORY_NAME) as server:
            made = Trial(session, name, work, f"http://{_HOST}:{server.port}/", now=now)
            made.publish()
            yield made
