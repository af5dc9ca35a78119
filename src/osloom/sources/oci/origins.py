"""Where base images come from: registries, each of which is spoken to once."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from osloom.base.digest import Digest
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor, Manifest
from osloom.fetch.registry.reference import parse_reference
from osloom.fetch.registry.registry import Registry, open_registry
from osloom.model.definition import Definition
from osloom.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One image in one registry."""

    registry: Registry
    repository: str
    wanted: str
    """A tag or a digest."""

    def manifest(self, digest: Digest | None = None) -> Manifest:
        """What the reference names, or something else of its repository. Raises FetchError."""
        return self.registry.manifest(self.repository, digest or self.wanted)

    def fetch(self, store: Store, blob: Descriptor, report: Reporter) -> None:
        """Bring a blob into the store, unless it is there. Raises FetchError."""
        self.registry.fetch_blob(store, self.repository, blob, report)


class Origins:
    """Finds origins; what they opened is closed with `stack`."""

    def __init__(self, definition: Definition, stack: ExitStack) -> None:
        self._definition = definition
        self._stack = stack
        self._registries: dict[str, Registry] = {}

    def find(self, reference: str) -> Origin:
        """Of a base as the definition has it. Raises UsageError when it cannot be read."""
        parsed = parse_reference(reference.removeprefix("oci:"))
        if parsed.registry not in self._registries:
            self._registries[parsed.registry] = self._stack.enter_context(
                self._open(parsed.registry)
            )
        return Origin(
            registry=self._registries[parsed.registry],
            repository=parsed.repository,
            wanted=parsed.wanted,
        )

    def _open(self, host: str) -> AbstractContextManager[Registry]:
        return open_registry(host)


@contextlib.contextmanager
def open_origins(definition: Definition) -> Iterator[Origins]:
    with ExitStack() as stack:
        yield Origins(definition, stack)
