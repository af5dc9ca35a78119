"""Build images: plan, fetch what is missing, run the steps, put the outputs in place."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from osloom.api.project import OUTPUT, Project
from osloom.api.publish import Publisher
from osloom.api.requests import (
    COMPRESSORS,
    EMULATOR,
    TOOLS,
    fakeroot_name,
    initrd_name,
    is_emulated,
    requests,
    variant_for_host,
)
from osloom.assemble.formats import FORMATS, assembler
from osloom.assemble.oci_index import plan_index
from osloom.assemble.request import Part, Product, Request
from osloom.base.digest import Digest
from osloom.base.errors import LockError, UsageError, nearest
from osloom.base.progress import Reporter
from osloom.compose.ingest import ingest
from osloom.compose.plan import (
    ImagePlan,
    Programs,
    main_package,
    plan_image,
    plan_merge,
    plan_packages,
    plan_tools,
    plan_trimmed,
)
from osloom.engine.build import Builder
from osloom.engine.decoder import find_decoder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Output
from osloom.model.artifact import Artifact
from osloom.model.definition import Image
from osloom.model.lock import Base, Lock
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
        self._executor = LocalExecutor(store, decoder=self._find_decoder)
        self.builder = Builder(store, self._executor, report)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.stop()

    def epoch(self, image: str) -> int:
        return self.project.epoch(self.lock, image)

    @functools.cached_property
    def commit(self) -> tuple[str, int] | None:
        """The commit to write into images and their time of creation, where that is asked for."""
        if not self.project.definition.project.revision:
            return None
        from osloom.api.git import head

        found = head(self.project.directory)
        given = self.project.given_epoch()
        return found.name, found.time if given is None else given

    def _find_decoder(self) -> Path | None:
        """In the tools image, if a build before this one has made it."""
        tools = plan_tools(self.lock.packages_of(TOOLS))
        result = self.store.results.find(tools.step.key)
        root = result and self.store.find_checkout(result.outputs[tools.name])
        return find_decoder(root) if root else None

    def make(self, wanted: Sequence[Output]) -> list[Digest]:
        """Fetch what the steps need, and run them."""
        missing = self.builder.missing(wanted)
        packages = [package for package in self.lock.packages if package.digest in missing]
        if packages:
            from osloom.sources.debian.packages import fetch_packages

            debian = self.project.definition.debian
            fetch_packages(self.store, self.lock, debian, packages, report=self.report)
        if missing and self.lock.bases:
            from osloom.sources.oci.fetch import fetch_bases

            fetch_bases(
                self.store,
                self.lock.bases,
                missing,
                self.project.definition,
                directory=self.project.directory,
                report=self.report,
            )
        return self.builder.make(wanted)


def check_fresh(project: Project, lock: Lock) -> None:
    """Raises LockError when the definition asks for something else than what was locked."""
    wanted = requests(project.definition)
    stale = dict.fromkeys(
        name.partition("/")[0]
        for name, request in wanted.items()
        if name not in lock.images or lock.images[name].request != request.digest
    )
    stale |= dict.fromkeys(
        name
        for name, image in project.definition.image.items()
        for locked in image.variants(name)
        if locked in lock.images and image.base != base_reference(lock, locked)
    )
    if stale:
        own = [name for name in stale if not name.startswith(".")]
        what = ", ".join(f"`{name}`" for name in own) or "what osloom needs itself"
        raise LockError(
            f"the lock is older than the definition of {what}", hint="run `osloom lock`"
        )


def base_reference(lock: Lock, image: str) -> str | None:
    base = lock.base_of(image)
    return base.reference if base else None


def plan(session: Session, images: Mapping[str, Image], formats: Sequence[str] = ()) -> Plan:
    """Every step of the build of `images`; nothing runs, but the definition's files are read."""
    tools = plan_tools(session.lock.packages_of(TOOLS))
    suite = session.project.definition.debian.suite
    plans: dict[str, ImagePlan] = {}
    outputs: list[Planned] = []
    for name, image in images.items():
        plans[name], products = plan_one(
            session, name, image, chosen_formats(name, image, formats), (tools, suite)
        )
        outputs += products
    return Plan(images=plans, outputs=tuple(outputs), tools=tools)


def plan_one(
    session: Session,
    name: str,
    image: Image,
    formats: Sequence[str],
    base: tuple[Output, str],
    *,
    locked: str | None = None,
) -> tuple[ImagePlan, list[Planned]]:
    """One image of the lock, of the definition or of osloom itself; `base`: tools and suite.

    `locked` is its name in the lock, where that is another. Of an image for several architectures
    the plan is that of this machine's, if there is one.
    """
    if image.architectures:
        return _plan_several(session, name, image, formats, base)
    request, own = _request(session, name, image, base, locked or name)
    products = [
        Planned(image=name, format=one, product=product)
        for one in formats
        for product in assembler(one)(request)
    ]
    return own, products


def _plan_several(
    session: Session, name: str, image: Image, formats: Sequence[str], base: tuple[Output, str]
) -> tuple[ImagePlan, list[Planned]]:
    plans: dict[str, ImagePlan] = {}
    products: list[Product] = []
    for locked, variant in image.variants(name).items():
        plans[locked], made = plan_one(session, name, variant, formats, base, locked=locked)
        products += [one.product for one in made]
    joined = [plan_index(_plain(name), products)] if products else []
    own = plans[variant_for_host(name, image)[0]]
    return own, [Planned(image=name, format="oci", product=product) for product in joined]


def _request(
    session: Session, name: str, image: Image, base: tuple[Output, str], locked: str
) -> tuple[Request, ImagePlan]:
    if image.debug_of is not None:
        return _debug_request(session, name, image, base, locked)
    below = session.lock.base_of(locked)
    own = plan_image(
        _plain(name),
        image,
        session.lock.packages_of(locked),
        project=session.project.definition.project,
        epoch=session.epoch(locked),
        programs=_programs(session, image, base),
        sources=_sources(session.project.directory, image, session.store),
        base=_plan_base(below) if below else None,
    )
    return _assembly(session, name, image, own, base[1], locked), own


def _plan_base(base: Base) -> Output:
    from osloom.sources.oci.steps import plan_base

    return plan_base(base)


def _programs(session: Session, image: Image, base: tuple[Output, str]) -> Programs:
    tools, suite = base

    def merged(title: str, locked: str) -> Output:
        return plan_merge(title, plan_packages(session.lock.packages_of(locked)), dpkg=False)

    return Programs(
        tools=tools,
        fakeroot=merged("fakeroot", fakeroot_name(suite, image)),
        emulator=merged("emulator", EMULATOR) if is_emulated(image) else None,
    )


def _debug_request(
    session: Session, name: str, image: Image, base: tuple[Output, str], locked: str
) -> tuple[Request, ImagePlan]:
    """What the image is made of that this is a debug variant of, and tools."""
    assert image.debug_of is not None
    of = image.debug_of
    originals = session.project.image(of).variants(of)
    original_locked = of + locked.removeprefix(name)
    request, own = _request(session, of, originals[original_locked], base, original_locked)
    tools = plan_trimmed(f"the tools of {name}", session.lock.packages_of(locked))
    settings = msgspec.structs.replace(request.image, oci=image.oci)
    return replace(request, name=_plain(name), image=settings, debug=tools), own


def _plain(name: str) -> str:
    """A name for files: osloom's own images have dots and slashes in theirs."""
    return name.removeprefix(".").replace("/", "-")


def chosen_formats(name: str, image: Image, formats: Sequence[str]) -> tuple[str, ...]:
    for one in formats:
        if one not in FORMATS:
            close = nearest(one, list(FORMATS))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(FORMATS)}"
            raise UsageError(f"cannot make `{one}` of `{name}`: no such output", hint=hint)
    return tuple(formats) or image.outputs


def _assembly(
    session: Session, name: str, image: Image, planned: ImagePlan, suite: str, locked: str
) -> Request:
    definition = session.project.definition
    initrd = initrd_name(suite, image)
    if initrd is not None:
        packages = plan_packages(session.lock.packages_of(initrd))
        initrd_tree = plan_merge("initrd", packages, dpkg=False)
    else:
        initrd_tree = None
    compressors = plan_packages(session.lock.packages_of(COMPRESSORS))
    return Request(
        name=_plain(name),
        project=definition.project,
        image=image,
        architecture=session.lock.images[locked].architecture,
        epoch=session.epoch(locked),
        commit=session.commit,
        version=_version(session, image, planned),
        tree=planned.tree,
        derived=planned.derived,
        foretold=planned.foretold,
        parts=tuple(
            Part(
                name=one.package.name,
                version=one.package.version,
                source=one.package.source,
                size=one.package.size,
                tree=one.tree,
            )
            for one in planned.packages
        ),
        tools=planned.programs.tools,
        compressors=plan_merge("compressors", compressors, dpkg=False),
        base=session.lock.base_of(locked),
        base_tree=planned.base,
        initrd=initrd_tree,
    )


def _version(session: Session, image: Image, planned: ImagePlan) -> str:
    own = session.project.definition.project.version
    main = main_package(image, [one.package for one in planned.packages])
    return main.version if image.is_application and main is not None and own == "0" else own


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
