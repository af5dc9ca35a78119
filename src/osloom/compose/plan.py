"""The steps from locked packages to an image tree."""

from collections.abc import Mapping, Sequence

import msgspec

from osloom.base.digest import Digest
from osloom.compose.application.plan import plan_application
from osloom.compose.application.trim import trim
from osloom.compose.base import base_of, is_kernel, parts_of
from osloom.compose.configure import configure
from osloom.compose.customise import Settings, customise, files_of
from osloom.compose.extension import Settings as Addition
from osloom.compose.extension import plan_addition
from osloom.compose.foretell import foretell_kernel, index_modules
from osloom.compose.nix.plan import NixPackages, plan_packages_of_nix
from osloom.compose.nix.writable import plan_writable
from osloom.compose.onto import merge_onto
from osloom.compose.packages import merge_packages
from osloom.compose.relocate import relocate
from osloom.compose.scripts import Work, finish, run_scripts
from osloom.engine.step import Output, Step
from osloom.model.definition import Image, Project
from osloom.model.lock import Package
from osloom.sources.debian.unpack import unpack_step


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """A package and the steps' outputs that hold it."""

    package: Package
    tree: Output
    control: Output


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """What steps in the sandbox need beside the image."""

    tools: Output
    """The tree of the tools image."""
    fakeroot: Output
    """The tree of fakeroot, of the image's own suite."""
    emulator: Output | None = None
    """The tree of qemu-user, for an image of another architecture than the host's."""

    @property
    def inputs(self) -> dict[str, Output]:
        """As the steps' own inputs."""
        emulator = {} if self.emulator is None else {"emulator": self.emulator}
        return {"tools": self.tools, "fakeroot": self.fakeroot, **emulator}


class ImagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How an image tree comes about."""

    programs: Programs

    tree: Output
    foretold: Output | None
    """A tree that will probably have the same kernel, sooner; None when `tree` is as soon there."""
    packages: tuple[Unpacked, ...]
    base: Output | None = None
    """The tree of the base image."""
    derived: Output | None = None
    """What an application's packages say of how it runs, model.application."""
    release: Output | None = None
    """Of an extension: os-release(5) of the image that it extends, a blob."""
    notes: Output | None = None
    """Of an extension: what people have to know of it, a blob with one sentence a line."""


def plan_packages(packages: Sequence[Package]) -> tuple[Unpacked, ...]:
    """One unpack step a package; by name, which is the order of the merge."""
    ordered = sorted(packages, key=lambda package: (package.name, package.architecture))
    steps = [(package, unpack_step(package)) for package in ordered]
    return tuple(
        Unpacked(package=package, tree=step.output(), control=step.output("control"))
        for package, step in steps
    )


def plan_merge(
    name: str,
    packages: Sequence[Unpacked],
    *,
    dpkg: bool,
    base: tuple[Output, ...] = (),
    automatic: Mapping[str, str] | None = None,
) -> Output:
    """The packages' files as one tree; no script has run but those of `base`: for each part of them
    its tree before and after that."""
    step = Step(
        action=merge_packages,
        title=f"merge {name}",
        group=name,
        parameters={"dpkg": dpkg, "automatic": dict(automatic or {})},
        inputs={
            "trees": tuple(one.tree for one in packages),
            "controls": tuple(one.control for one in packages),
            **({"base": base} if base else {}),
        },
    )
    return step.output()


def plan_files(name: str, packages: Sequence[Package]) -> Output:
    """The packages' files as one tree, and nothing run: what osloom's own images are."""
    return plan_merge(name, plan_packages(packages), dpkg=False)


def plan_tools(packages: Sequence[Package]) -> Output:
    """The tree of the tools image."""
    return plan_files("tools", packages)


def plan_debug_tools(packages: Sequence[Package], *, architecture: str) -> Output:
    """The tree of the debug tools, which any container can have beside its own root."""
    return Step(
        action=relocate,
        title="move the debug tools",
        group="debug",
        parameters={"architecture": architecture},
        inputs={"tree": plan_files("debug", packages)},
    ).output()


def plan_trimmed(name: str, packages: Sequence[Package]) -> Output:
    """The packages' files without their documentation; nothing run."""
    tree = plan_files(name, packages)
    return Step(action=trim, title=f"trim {name}", group=name, inputs={"tree": tree}).output()


def plan_image(  # noqa: PLR0913  (what an image is made of)
    name: str,
    image: Image,
    packages: Sequence[Package],
    *,
    project: Project,
    epoch: int,
    programs: Programs,
    sources: Mapping[str, Digest],
    main: Package | None = None,
    base: Output | None = None,
    nix: NixPackages | None = None,
    system: Step | None = None,
    extended: Output | None = None,
) -> ImagePlan:
    """Merge, configure, customise, run scripts, finish, add packages of Nix: the image tree.

    `sources` has the tree of each of the image's files that has a source; `main` is the package
    that an application is named for; `base` is the tree of the base image. `system` makes a NixOS system (`compose.nix.system`), to which only files are added.
    `extended` is the tree of the image that an extension extends.
    """
    if system is not None:
        before = system.output()
        # As a base it keeps its accounts, which its activation makes.
        own = {"tree": before, "base": before}
        changed = _customised(name, image, own, project=project, epoch=epoch, sources=sources)
        return ImagePlan(
            programs=programs,
            tree=changed.output() if image.files else before,
            foretold=None,
            packages=(),
            derived=system.output("derived"),
        )
    unpacked = plan_packages(packages)
    below = {"base": base} if base else {}

    def customised(tree: Output) -> Step:
        accounts = {"accounts": extended or tree} if image.is_extension else {}
        own = {"tree": tree, **below, **accounts}
        return _customised(name, image, own, project=project, epoch=epoch, sources=sources)

    def with_nix(tree: Output) -> Step:
        assert nix is not None
        alone = image.is_application and not image.packages
        before = {"derived": derived} if derived else {}
        return plan_packages_of_nix(
            name,
            nix,
            {"tree": tree, **below, **before},
            epoch=epoch,
            application=alone,
            entrypoint=alone and not (image.oci.entrypoint or image.service),
        )

    foretold = derived = None
    if base is not None:
        tree = _onto(name, image, unpacked, base)
    elif image.runs_dpkg:
        merged, tree = _configured(name, image, unpacked, epoch=epoch, programs=programs)
        early = customised(_foretold(name, merged, unpacked, epoch=epoch, tools=programs.tools))
        foretold = _finished(name, image, {"tree": early.output()}, epoch=epoch)
    else:
        tree = plan_merge(name, unpacked, dpkg=False)
    if image.is_application or (image.service and "oci" in image.outputs):
        adapted = _adapted(name, image, tree, unpacked, main=main, epoch=epoch, sources=sources)
        tree, derived = adapted.output(), adapted.output("derived")
    changed = customised(tree)
    tree = changed.output()
    work = Work(epoch=epoch, locale=image.made_locale, systemd=image.systemd, script=image.script)
    if not (work.is_empty or image.is_extension):
        tree = _scripts_run(name, work, with_nix(tree).output() if nix else tree, programs)
    # Only what scripts have left has to be told from what osloom made.
    made = {"own": changed.output("own"), **({"derived": derived} if derived else {})}
    own = made if image.runs_programs else {}
    tree = _finished(name, image, {"tree": tree, **below, **own}, epoch=epoch)
    if image.is_extension:
        return _extension(
            name, image, tree, unpacked, epoch=epoch, programs=programs, extended=extended
        )
    if nix is not None:
        last = with_nix(tree)
        tree, derived = last.output(), last.output("derived")
    if image.nix.writable:
        tree = plan_writable(name, tree, epoch=epoch)
    return ImagePlan(
        programs=programs,
        tree=tree,
        foretold=foretold,
        packages=unpacked,
        base=base,
        derived=derived,
    )


def _extension(
    name: str,
    image: Image,
    tree: Output,
    packages: tuple[Unpacked, ...],
    *,
    epoch: int,
    programs: Programs,
    extended: Output | None,
) -> ImagePlan:
    settings = Addition(
        epoch=epoch,
        kinds=image.outputs,
        extends=image.extends or "",
        keep=image.keep or (),
        enable=image.systemd.enable,
    )
    step = plan_addition(name, tree, [one.control for one in packages], settings, below=extended)
    return ImagePlan(
        programs=programs,
        tree=step.output(),
        foretold=None,
        packages=packages,
        release=step.output("release"),
        notes=step.output("notes"),
    )


def _onto(name: str, image: Image, packages: Sequence[Unpacked], base: Output) -> Output:
    """The base image's tree with the packages' files on it; no script runs."""
    if not packages:
        return base
    return Step(
        action=merge_onto,
        title=f"merge {name} onto its base",
        group=name,
        parameters={"keep": list(image.keep or ())},
        inputs={
            "trees": tuple(one.tree for one in packages),
            "controls": tuple(one.control for one in packages),
            "base": base,
        },
    ).output()


def _adapted(
    name: str,
    image: Image,
    tree: Output,
    packages: Sequence[Unpacked],
    *,
    main: Package | None,
    epoch: int,
    sources: Mapping[str, Digest],
) -> Step:
    own = [one for one in packages if one.package == main]
    return plan_application(
        name,
        image,
        {
            "tree": tree,
            "main": tuple(output for one in own for output in (one.tree, one.control)),
            "controls": tuple(one.control for one in packages),
        },
        main=main.name if main else "",
        epoch=epoch,
        sources=sources,
    )


def _foretold(
    name: str, merged: Output, packages: Sequence[Unpacked], *, epoch: int, tools: Output
) -> Output:
    """`merged` with what depmod will say of its kernels: of those alone, so that it is not asked
    again when another package changes."""
    kernels = [one for one in packages if is_kernel(one.package)]
    if not kernels:
        return merged
    indexes = Step(
        action=index_modules,
        title=f"index the modules of {name}",
        group=name,
        parameters={"epoch": epoch},
        inputs={
            "tree": plan_merge(f"the kernel of {name}", kernels, dpkg=False),
            "tools": tools,
        },
    )
    return Step(
        action=foretell_kernel,
        title=f"foretell the kernel of {name}",
        group=name,
        inputs={"tree": merged, "indexes": indexes.output()},
    ).output()


def _scripts_run(name: str, work: Work, tree: Output, programs: Programs) -> Output:
    return Step(
        action=run_scripts,
        title=f"run scripts of {name}",
        group=name,
        parameters={"work": msgspec.to_builtins(work)},
        inputs={"tree": tree, **programs.inputs},
    ).output()


def _finished(name: str, image: Image, inputs: Mapping[str, Output], *, epoch: int) -> Output:
    return Step(
        action=finish,
        title=f"finish {name}",
        group=name,
        parameters={
            "epoch": epoch,
            "remove": list(image.remove),
            "scripts": image.runs_programs,
            "certificates": image.is_application or "base" in inputs,
        },
        inputs=inputs,
    ).output()


def _configured(
    name: str,
    image: Image,
    packages: Sequence[Unpacked],
    *,
    epoch: int,
    programs: Programs,
) -> tuple[Output, Output]:
    """The packages configured, part after part (`compose.base`): a tree of all of them from which can
    be foretold what will come of it, and what came of it.
    """

    def configured(title: str, tree: Output, packages: Sequence[Unpacked]) -> Output:
        return Step(
            action=configure,
            title=title,
            group=name,
            weight=sum(one.package.size for one in packages),
            parameters={"epoch": epoch},
            inputs={
                "tree": tree,
                **programs.inputs,
                "controls": tuple(one.control for one in packages),
            },
        ).output()

    *parts, last = parts_of([one.package for one in packages])
    below: tuple[Output, ...] = ()
    done: frozenset[str] = frozenset()
    for part, title in zip(parts, ("the base", "the system"), strict=False):
        done |= part
        here = [one for one in packages if one.package.name in done]
        before = plan_merge(f"{title} of {name}", here, dpkg=True, base=below)
        own = [one for one in packages if one.package.name in part]
        below += (before, configured(f"configure {title} of {name}", before, own))
    own = [one for one in packages if one.package.name in last]
    automatic = _automatic(image, [one.package for one in packages])
    tree = plan_merge(name, packages, dpkg=True, base=below, automatic=automatic)
    after = configured(f"configure {name}", tree, own)
    if len(parts) < 2:
        return tree, after
    # What is foretold would else wait for the system, to which it is to be ahead.
    return plan_merge(f"the files of {name}", packages, dpkg=True, base=below[:2]), after


def _automatic(image: Image, packages: Sequence[Package]) -> dict[str, str]:
    """The architectures of packages that neither the definition names nor the base has, by name.

    None where there is no apt to know them: then parts of images that are alike are the same steps.
    """
    if not any(one.name == "apt" for one in packages):
        return {}
    named = {text.partition("=")[0] for text in image.packages} | base_of(packages)
    # apt keeps marks of packages for all architectures under the system's own, apt-mark(8).
    native = next((one.architecture for one in packages if one.architecture != "all"), "all")
    return {one.name: native for one in packages if one.name not in named}


def _customised(
    name: str,
    image: Image,
    inputs: Mapping[str, Output],
    *,
    project: Project,
    epoch: int,
    sources: Mapping[str, Digest],
) -> Step:
    settings = Settings(
        epoch=epoch,
        name=f"{project.name}-{name}",
        version=project.version,
        hostname=image.hostname,
        timezone=image.timezone,
        locale=image.locale,
        sysctl=image.sysctl,
        users=image.users,
        groups=image.groups,
        files=files_of(image),
        sources=dict(sources),
    )
    return Step(
        action=customise,
        title=f"customise {name}",
        group=name,
        parameters={"settings": msgspec.to_builtins(settings)},
        # The digests in the settings say what the files are; as inputs they also travel.
        inputs={**inputs, "sources": tuple(sorted(sources.values()))},
    )
