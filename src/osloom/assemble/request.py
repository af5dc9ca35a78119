"""What an output format is given, and what it promises: data only."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from osloom.engine.step import Output
from osloom.model.appliance import Appliance
from osloom.model.definition import Image, Project
from osloom.model.lock import Base

if TYPE_CHECKING:
    from osloom.assemble.appliance.signing import SecureBoot
    from osloom.assemble.verity_signature import VerityKey


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One package of an image, for formats that keep packages apart."""

    name: str
    version: str
    source: str
    """The source package that it is built from."""
    size: int
    """Of the package as it is fetched, in bytes."""
    tree: Output
    """The package tree."""


class StorePart(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a Nix store in an image; the image has it exactly as it is in its tree."""

    name: str
    """The base name."""
    references: tuple[str, ...]
    """Base names of the paths that it refers to."""
    size: int
    """Of its archive, in bytes."""
    tree: Output
    """Its nodes, at `nix/store/NAME`."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One image to be written in some format."""

    name: str
    """The image's name."""
    project: Project
    image: Image
    """The definition of the image, complete."""
    architecture: str
    """As Debian says it: `amd64`."""
    epoch: int
    commit: tuple[str, int] | None = None
    """The commit that the definition is of, and its time, where images are to tell."""
    version: str
    """The project's, or in an application that has none its first package's."""
    tree: Output
    """The image tree: everything in place, normalised, no time later than the epoch."""
    derived: Output | None = None
    """What an application's packages say of how it runs: a model.application.Derived as JSON."""
    release: Output | None = None
    """os-release(5) of the image that an extension extends, a blob; empty where there is none."""
    notes: Output | None = None
    """What people have to know of an extension, a blob with one sentence a line."""
    debug: Output | None = None
    """The tree of the tools that a debug variant adds."""
    foretold: Output | None = None
    """A tree that will probably have the same kernel, and is there sooner."""
    parts: tuple[Part, ...]
    closure: tuple[StorePart, ...] = ()
    """The store paths that it takes from Nix, and all that they refer to."""
    tools: Output
    """The tree of the tools image."""
    compressors: Output
    """The tree with the programs that compress."""
    base: Base | None = None
    """The base image that the image starts from."""
    base_tree: Output | None = None
    """Its tree, of which `tree` was made."""
    appliance: Appliance | None = None
    """What the disk is to be, where its layout is that of an appliance."""
    secure_boot: "SecureBoot | None" = None
    """Who signs what its firmware starts."""
    verity_key: "VerityKey | None" = None
    """Who signs root hashes of it."""
    root: Output | None = None
    """The tree of the appliance's read-only root."""
    initrd: Output | None = None
    """The tree of the initrd image, without kernel modules; None when the image has no kernel."""


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """One file or directory that a format makes of an image."""

    path: str
    """Below the image's output directory: `api.raw`, `api.oci`."""
    output: Output
    """A blob for a file; a tree for a directory."""
    kind: Literal["file", "directory"] = "file"


Assembler = Callable[[Request], tuple[Product, ...]]
"""Plans one format; runs nothing."""
