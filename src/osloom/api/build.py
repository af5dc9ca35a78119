"""Build images: plan, fetch what is missing, run the steps, put the outputs in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from osloom.api.project import OUTPUT, Project
from osloom.api.publish import Publisher
from osloom.api.requests import TOOLS, fakeroot_name, initrd_name, requests
from osloom.assemble.formats import FORMATS
from osloom.assemble.request import Part, Product, Request
from osloom.base.digest import Digest
from osloom.base.errors import LockError, UsageError, nearest
from osloom.base.progress import Reporter
from osloom.compose.ingest import ingest
from osloom.compose.plan import (
    ImagePlan,
    Programs,
    plan_image,
    plan_merge,
    plan_packages,
    plan_tools,
)
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Output
from osloom.model.artifact import Artifact
from osloom.model.definition import Definition, Image
from osloom.model.lock import Lock
from osloom.sources.debian.packages import fetch_packages
from osloom.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One file or directory that the build will make."""

    image: str
    format: str
    product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole build as data."""

    images: Mapping[str, ImagePlan]
    outputs: tuple[Planned, ...]
    tools: Output


class Session:
    """A project, its lock and a store, with an executor for as long as the block lasts."""

    def __init__(self, project: Project, lock: Lock, store: Store, report: Reporter) -> None:
        self.project = project
        self.lock = lock
        self.store = store
        self.report = report
        self.epoch = project.epoch(lock)
        self._executor = LocalExecutor(store)
        self.builder = Builder(store, self._executor, report)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.stop()

    def make(self, wanted: Sequence[Output]) -> list[Digest]:
        """Fetch what the steps need, and run them."""
        missing = self.builder.missing(wanted)
        packages = [package for package in self.lock.packages if package.digest in missing]
        if packages:
            debian = self.project.definition.debian
            fetch_packages(self.store, self.lock, debian, packages, report=self.report)
        return self.builder.make(wanted)


def check_fresh(project: Project, lock: Lock) -> None:
    """Raises LockError when the definition asks for something else than what was locked."""
    wanted = requests(project.definition)
    stale = [
        name
        for name, request in wanted.items()
        if name not in lock.images or lock.images[name].request != request.digest
    ]
    if stale:
        own = [name for name in stale if not name.startswith(".")]
        what = ", ".join(f"`{name}`" for name in own) or "what osloom needs itself"
        raise LockError(
            f"the lock is older than the definition of {what}", hint="run `osloom lock`"
        )


def plan(session: Session, images: Mapping[str, Image], formats: Sequence[str] = ()) -> Plan:
    """Every step of the build of `images`; nothing runs, but the definition's files are read."""
    lock, project = session.lock, session.project
    tools = plan_tools(lock.packages_of(TOOLS))
    plans: dict[str, ImagePlan] = {}
    outputs: list[Planned] = []
    for name, image in images.items():
        plans[name] = plan_image(
            name,
            image,
            lock.packages_of(name),
            project=project.definition.project,
            epoch=session.epoch,
            programs=Programs(tools=tools, fakeroot=_fakeroot(lock, project.definition, image)),
            sources=_sources(project.directory, image, session.store),
        )
        request = _assembly(session, name, image, plans[name], tools)
        for format_name in chosen_formats(name, image, formats):
            outputs += [
                Planned(image=name, format=format_name, product=product)
                for product in FORMATS[format_name](request)
            ]
    return Plan(images=plans, outputs=tuple(outputs), tools=tools)


def _fakeroot(lock: Lock, definition: Definition, image: Image) -> Output:
    packages = lock.packages_of(fakeroot_name(definition, image))
    return plan_merge("fakeroot", plan_packages(packages), dpkg=False)


def chosen_formats(name: str, image: Image, formats: Sequence[str]) -> tuple[str, ...]:
    for one in formats:
        if one not in FORMATS:
            close = nearest(one, list(FORMATS))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(FORMATS)}"
            raise UsageError(f"cannot make `{one}` of `{name}`: no such output", hint=hint)
    return tuple(formats) or image.outputs


def _assembly(
    session: Session, name: str, image: Image, planned: ImagePlan, tools: Output
) -> Request:
    definition = session.project.definition
    initrd = initrd_name(definition, image)
    if initrd is not None:
        packages = plan_packages(session.lock.packages_of(initrd))
        initrd_tree = plan_merge("initrd", packages, dpkg=False)
    else:
        initrd_tree = None
    return Request(
        name=name,
        project=definition.project,
        image=image,
        architecture=session.lock.images[name].architecture,
        epoch=session.epoch,
        tree=planned.tree,
        parts=tuple(
            Part(name=one.package.name, version=one.package.version, tree=one.tree)
            for one in planned.packages
        ),
        tools=tools,
        initrd=initrd_tree,
    )


def _sources(directory: Path, image: Image, store: Store) -> dict[str, Digest]:
    """The tree of each file's source, by the file's path in the image."""
    found: dict[str, Digest] = {}
    for path, file in image.files.items():
        source = file if isinstance(file, str) else file.source
        if source is not None:
            found[path] = store.add_tree(ingest(directory / source, store))
    return found


def build(
    session: Session,
    images: Mapping[str, Image],
    *,
    formats: Sequence[str] = (),
    directory: Path | None = None,
) -> list[Artifact]:
    """Make every output of `images` and put it below `directory`; gives what was made."""
    planned = plan(session, images, formats)
    session.make([one.product.output for one in planned.outputs])
    publisher = Publisher(session.store, directory or session.project.directory / OUTPUT)
    made = []
    for one in planned.outputs:
        outcome = session.builder.outcome(one.product.output.step)
        artifact = publisher.publish(one.image, one.format, one.product, outcome.result)
        made.append(
            msgspec.structs.replace(artifact, seconds=outcome.result.seconds, reused=outcome.reused)
        )
    publisher.finish()
    return made
