"""The whole build of images as data: their steps, and the files that come of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.api.requests import (
    COMPRESSORS,
    EMULATOR,
    TOOLS,
    architecture_of,
    fakeroot_name,
    initrd_name,
    is_emulated,
    variant_for_host,
)
from osloom.api.session import Session
from osloom.assemble.formats import FORMATS, assembler
from osloom.assemble.oci_index import plan_index
from osloom.assemble.request import Part, Product, Request, StorePart
from osloom.base.digest import Digest
from osloom.base.errors import UsageError, nearest
from osloom.compose.extension import check_versions
from osloom.compose.ingest import ingest
from osloom.compose.nix.plan import NixPackages
from osloom.compose.plan import (
    ImagePlan,
    Programs,
    plan_files,
    plan_image,
    plan_tools,
    plan_trimmed,
)
from osloom.engine.step import Output, Step
from osloom.model.definition import Image
from osloom.model.extension import EXTENSIONS
from osloom.model.fetched import is_signed_extension
from osloom.model.lock import Base, Package
from osloom.model.nix_package import parse_package_name
from osloom.sources.nix.steps import plan_store_path
from osloom.store.store import Store


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One file or directory that the build will make."""

    image: str
    format: str
    product: Product


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole build as data."""

    images: Mapping[str, ImagePlan]
    outputs: tuple[Planned, ...]
    tools: Output


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
        for product in assembler(
            one, nixos=image.nixos is not None, appliance=image.disk.is_appliance
        )(request)
    ]
    return own, products


def request_of(session: Session, name: str, image: Image) -> Request:
    """What the formats are given of one image, for what is made of it beside them."""
    tools = plan_tools(session.lock.packages_of(TOOLS))
    return _request(session, name, image, (tools, session.project.definition.debian.suite), name)[0]


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
    packages, extended = _extended(session, name, image, base, locked)
    own = plan_image(
        _plain(name),
        image,
        packages,
        project=session.project.definition.project,
        epoch=session.epoch(locked),
        programs=_programs(session, image, base),
        sources=_sources(session.project.directory, image, session.store),
        main=_main_package(session, image, packages, locked),
        base=_plan_base(below) if below else None,
        nix=_nix_packages(session, image, locked) if image.nix.is_used else None,
        system=_plan_system(session, name, image, locked) if image.nixos else None,
        extended=extended,
    )
    return _assembly(session, name, image, own, base[1], locked), own


def _extended(
    session: Session, name: str, image: Image, base: tuple[Output, str], locked: str
) -> tuple[Sequence[Package], Output | None]:
    """The packages of the image itself, and the tree of the image that it extends."""
    packages = session.lock.packages_of(locked)
    if image.extends is None:
        return packages, None
    below = session.lock.packages_of(image.extends)
    _, plan = _request(
        session, image.extends, session.project.image(image.extends), base, image.extends
    )
    return check_versions(name, image.extends, packages, below), plan.tree


def _plan_system(session: Session, name: str, image: Image, locked: str) -> Step:
    from osloom.compose.nix.system import plan_system

    assert image.nixos is not None
    (toplevel,) = session.lock.images[locked].installables[image.nixos]
    return plan_system(
        _plain(name),
        session.lock.closure_of(locked),
        toplevel,
        architecture=architecture_of(image),
        epoch=session.epoch(locked),
    )


def _nix_packages(session: Session, image: Image, locked: str) -> NixPackages:
    installables = session.lock.images[locked].installables
    return NixPackages(
        packages=tuple(installables[one] for one in dict.fromkeys(image.nix.packages)),
        closure=session.lock.closure_of(locked),
        installed=image.nix.installed or image.nix.writable,
    )


def _plan_base(base: Base) -> Output:
    from osloom.sources.oci.steps import plan_base

    return plan_base(base)


def _programs(session: Session, image: Image, base: tuple[Output, str]) -> Programs:
    tools, suite = base

    def merged(title: str, locked: str) -> Output:
        return plan_files(title, session.lock.packages_of(locked))

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
    return msgspec.structs.replace(request, name=_plain(name), image=settings, debug=tools), own


def _plain(name: str) -> str:
    """A name for files: osloom's own images have dots and slashes in theirs."""
    return name.removeprefix(".").replace("/", "-")


def chosen_formats(name: str, image: Image, formats: Sequence[str]) -> tuple[str, ...]:
    for one in formats:
        if one not in FORMATS:
            close = nearest(one, list(FORMATS))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(FORMATS)}"
            raise UsageError(f"cannot make `{one}` of `{name}`: no such output", hint=hint)
        if (one in EXTENSIONS) != image.is_extension:
            said = "it is an extension" if image.is_extension else "it is no extension"
            hint = f'make an image with `outputs = ["{one}"]` for it'
            raise UsageError(f"cannot make `{one}` of `{name}`: {said}", hint=hint)
        if one != "oci" and (image.architectures or image.debug_of):
            what = "several architectures" if image.architectures else "debugging"
            raise UsageError(
                f"cannot make `{one}` of `{name}`: it is a container for {what}",
                hint="make an image of its own for it",
            )
    return tuple(formats) or image.outputs


def _assembly(
    session: Session, name: str, image: Image, planned: ImagePlan, suite: str, locked: str
) -> Request:
    definition = session.project.definition
    initrd = initrd_name(suite, image)
    request = Request(
        name=_plain(name),
        project=definition.project,
        image=image,
        architecture=session.lock.images[locked].architecture,
        epoch=session.epoch(locked),
        commit=session.commit,
        version=_version(session, image, planned, locked),
        tree=planned.tree,
        derived=planned.derived,
        release=planned.release,
        notes=planned.notes,
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
        closure=tuple(
            StorePart(
                name=path.name,
                references=path.references,
                size=path.nar_size,
                tree=plan_store_path(path),
            )
            for path in session.lock.closure_of(locked)
        ),
        tools=planned.programs.tools,
        compressors=plan_files("compressors", session.lock.packages_of(COMPRESSORS)),
        base=session.lock.base_of(locked),
        base_tree=planned.base,
        initrd=plan_files("initrd", session.lock.packages_of(initrd)) if initrd else None,
    )
    if not (image.disk.is_appliance or is_signed_extension(definition, name)):
        return request
    # Every build would else load all that only appliances need.
    from osloom.api.appliance import with_keys, with_root

    request = with_keys(session, request)
    return with_root(session, request, name) if image.disk.is_appliance else request


def _version(session: Session, image: Image, planned: ImagePlan, locked: str) -> str:
    own = session.project.definition.project.version
    if not image.is_application or own != "0":
        return own
    packages = [one.package for one in planned.packages]
    main = _main_package(session, image, packages, locked)
    if main is None and image.nix.packages:
        first = session.lock.images[locked].installables[image.nix.packages[0]]
        return parse_package_name(first[0]).version or own
    return main.version if main is not None else own


def _main_package(
    session: Session, image: Image, packages: Sequence[Package], locked: str
) -> Package | None:
    """The package that an image is named for: the first that its definition asks for."""
    first = session.lock.images[locked].requested[:1] if image.packages else ()
    # As locks from before have it.
    names = [text.partition("=")[0].partition(":")[0] for text in first]
    return next((one for one in packages if one.name in names), None)


def _sources(directory: Path, image: Image, store: Store) -> dict[str, Digest]:
    """The tree of each file's source, by the file's path in the image."""
    found: dict[str, Digest] = {}
    for path, file in image.files.items():
        source = file if isinstance(file, str) else file.source
        if source is not None:
            found[path] = store.add_tree(ingest(directory / source, store))
    return found
