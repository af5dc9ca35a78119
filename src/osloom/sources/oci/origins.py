"""Where base images come from: registries, each of which is spoken to once, and layouts."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

import msgspec

from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor, Manifest
from osloom.fetch.registry.reference import parse_address, parse_reference
from osloom.fetch.registry.registry import Registry, open_registry
from osloom.model.definition import Definition
from osloom.sources.oci.layout import Layout
from osloom.store.store import Store

_REGISTRY, _LAYOUT = "oci:", "oci-layout:"


class Origin(Protocol):
    """One image somewhere."""

    def manifest(self, named: Descriptor | None = None) -> Manifest:
        """What the reference names, or something below it. Raises FetchError."""

    def fetch(self, store: Store, blob: Descriptor, report: Reporter, /) -> None:
        """Bring a blob into the store, unless it is there. Raises FetchError."""


class _Registered(msgspec.Struct, frozen=True, kw_only=True):
    registry: Registry
    repository: str
    wanted: str
    """A tag or a digest."""

    def manifest(self, named: Descriptor | None = None) -> Manifest:
        return self.registry.manifest(self.repository, named.digest if named else self.wanted)

    def fetch(self, store: Store, blob: Descriptor, report: Reporter, /) -> None:
        self.registry.fetch_blob(store, self.repository, blob, report)


class Origins:
    """Finds origins; what they opened is closed with `stack`. See `open_origins`."""

    def __init__(self, definition: Definition, directory: Path, stack: ExitStack) -> None:
        self._definition = definition
        self._directory = directory
        self._stack = stack
        self._registries: dict[str, Registry] = {}

    def find(self, reference: str) -> Origin:
        """Of a base as the definition has it. Raises UsageError when it cannot be read."""
        if reference.startswith(_LAYOUT):
            return Layout(path=self._directory / reference.removeprefix(_LAYOUT))
        parsed = parse_reference(reference.removeprefix(_REGISTRY))
        return _Registered(
            registry=self._registry(parsed.registry),
            repository=parsed.repository,
            wanted=parsed.wanted,
        )

    def _registry(self, host: str) -> Registry:
        if host not in self._registries:
            self._registries[host] = self._stack.enter_context(self._open(host))
        return self._registries[host]

    def _open(self, host: str) -> AbstractContextManager[Registry]:
        own = self._definition.registry
        # What the definition allows, it allows its own registry.
        if own.address is None or parse_address(own.address)[0] != host:
            return open_registry(host)
        authority = self._directory / own.ca if own.ca else None
        return open_registry(host, insecure=own.insecure, ca=authority)


@contextlib.contextmanager
def open_origins(definition: Definition, directory: Path) -> Iterator[Origins]:
    """The origins of a definition, whose paths start in `directory`, while the block lasts."""
    with ExitStack() as stack:
        yield Origins(definition, directory, stack)


def place_of(reference: str) -> str:
    """The registry, or the path of the layout."""
    if reference.startswith(_LAYOUT):
        return reference.removeprefix(_LAYOUT)
    return parse_reference(reference.removeprefix(_REGISTRY)).registry
