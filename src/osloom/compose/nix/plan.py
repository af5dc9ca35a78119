"""The step that puts packages of Nix into an image."""

from collections.abc import Mapping

import msgspec

from osloom.compose.nix.install import Settings, install_packages
from osloom.engine.step import Output, Step
from osloom.model.closure import StorePath
from osloom.sources.nix.steps import plan_store_path


class NixPackages(msgspec.Struct, frozen=True, kw_only=True):
    """What an image takes from Nix, as its lock has it."""

    packages: tuple[tuple[str, ...], ...]
    """The base names of each package's store paths, in the definition's order."""
    closure: tuple[StorePath, ...]
    installed: bool
    """Whether Nix inside is to know them."""


def plan_packages_of_nix(
    name: str,
    nix: NixPackages,
    inputs: Mapping[str, Output],
    *,
    epoch: int,
    application: bool,
    entrypoint: bool,
) -> Step:
    """The image with the packages in it, its outputs `tree` and `derived`.

    `inputs` has the image's `tree` and, where there are any, `derived` and `base`.
    """
    settings = Settings(
        epoch=epoch,
        packages=nix.packages,
        registered=nix.closure if nix.installed else None,
        application=application,
        entrypoint=entrypoint,
    )
    return Step(
        action=install_packages,
        title=f"add packages of Nix to {name}",
        group=name,
        parameters={"settings": msgspec.to_builtins(settings)},
        inputs={**inputs, "closure": tuple(plan_store_path(path) for path in nix.closure)},
    )
