"""What works on a project share: its lock, a store, and an executor for as long as they last."""

import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from osloom.api.project import Project
from osloom.api.requests import (
    TOOLS,
    requests,
)
from osloom.base.digest import Digest
from osloom.base.errors import LockError
from osloom.base.progress import Reporter
from osloom.compose.plan import (
    plan_tools,
)
from osloom.engine.build import Builder
from osloom.engine.decoder import find_decoder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Output
from osloom.keys.signer import Signer
from osloom.model.definition import Definition, Image
from osloom.model.lock import Lock, LockedImage
from osloom.store.store import Store


class Session:
    """A project, its lock and a store, with an executor for as long as the block lasts."""

    def __init__(self, project: Project, lock: Lock, store: Store, report: Reporter) -> None:
        self.project = project
        self.lock = lock
        self.store = store
        self.report = report
        self.signers: dict[str, Callable[[], Signer]] = {}
        """What steps sign with (`engine.step.Signers`); who plans them adds to it."""
        self._executor = LocalExecutor(store, decoder=self._find_decoder, signers=self.signers)
        self.builder = Builder(store, self._executor, report)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.stop()

    def prepare(self) -> None:
        """To be called before a key is read, where there will be much to do."""
        self._executor.prepare_copies()

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

    def with_definition(self, definition: Definition) -> "Session":
        """The same store and workers for another definition; it ends with this one."""
        other = copy.copy(self)
        other.project = msgspec.structs.replace(self.project, definition=definition)
        return other

    def _find_decoder(self) -> Path | None:
        """In the tools image, if a build before this one has made it."""
        tools = plan_tools(self.lock.packages_of(TOOLS))
        result = self.store.results.find(tools.step.key)
        root = result and self.store.find_checkout(result.outputs[tools.name])
        return find_decoder(root) if root else None

    def make(
        self, wanted: Sequence[Output], made: Callable[[Path], object] = lambda _: None
    ) -> list[Digest]:
        """Fetch what the steps need, and run them; `made` hears of new blobs as they are made."""
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
        paths = [path for path in self.lock.store_paths if path.nar_hash in missing]
        if paths:
            from osloom.sources.nix.fetch import fetch_store_paths

            fetch_store_paths(
                self.store,
                paths,
                self.project.definition.nix,
                directory=self.project.directory,
                report=self.report,
                executor=self._executor,
            )
        return self.builder.make(wanted, lambda digest: made(self.store.blobs.path(digest)))

    def is_new(self, output: Output) -> bool:
        """Whether what `make` has given was made now, and not by a run before this one."""
        return not self.builder.outcome(output.step).reused


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
    stale |= dict.fromkeys(
        name
        for name, image in project.definition.image.items()
        for locked, variant in image.variants(name).items()
        if locked in lock.images and not _same_installables(variant, project, lock.images[locked])
    )
    if stale:
        own = [name for name in stale if not name.startswith(".")]
        what = ", ".join(f"`{name}`" for name in own) or "what osloom needs itself"
        raise LockError(
            f"the lock is older than the definition of {what}", hint="run `osloom lock`"
        )


def _same_installables(image: Image, project: Project, locked: LockedImage) -> bool:
    """Whether the lock has what the image takes from Nix, evaluated as the definition says."""
    if not image.installables and not locked.installables:
        return True
    from osloom.sources.nix.flakes import evaluation_of

    same = set(image.installables) == set(locked.installables)
    return same and evaluation_of(image, project.definition.nix) == locked.evaluation


def base_reference(lock: Lock, image: str) -> str | None:
    base = lock.base_of(image)
    return base.reference if base else None
