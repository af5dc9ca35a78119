"""Formats made of a small image, in this process and without programs: nothing is compressed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from osloom.assemble.request import Part, Product, Request
from osloom.base.digest import Digest
from osloom.base.progress import Reporter, silent
from osloom.engine.build import Builder
from osloom.engine.executor import Made
from osloom.engine.step import Given, Job, Output, Step, action
from osloom.engine.worker import run_action
from osloom.model.definition import Image, Project
from osloom.model.tree import Tree
from osloom.store.store import Store

EPOCH = 1_700_000_000


@action(version=1)
def given(job: Job) -> Mapping[str, Digest]:
    """A tree that was there before."""
    return {"tree": job.digest()}


class Here:
    """An executor: this process."""

    slots = 1

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, steps: Sequence[Step], *, many: bool) -> None:
        pass

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        request = {
            "action": step.action.name,
            "parameters": dict(step.parameters),
            "inputs": dict(given),
        }
        answer = run_action(self._store, request, report)
        return Made(outputs=answer["outputs"], facts=answer["facts"])

    def stop(self) -> None:
        pass


class Workbench:
    """A store, requests of images in it, and what formats make of them."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)

    def output(self, tree: Tree) -> Output:
        step = Step(action=given, title="given", inputs={"tree": self.store.add_tree(tree)})
        return step.output()

    def request(
        self, image: Image, tree: Tree, packages: Mapping[str, Tree] | None = None
    ) -> Request:
        parts = tuple(
            Part(name=name, version="1", source=name, size=part.size, tree=self.output(part))
            for name, part in (packages or {}).items()
        )
        return Request(
            name="app",
            project=Project(name="shop", version="7"),
            image=image,
            architecture="amd64",
            epoch=EPOCH,
            version="7",
            tree=self.output(tree),
            parts=parts,
            tools=self.output(Tree()),
            compressors=self.output(Tree()),
        )

    def make(self, products: tuple[Product, ...]) -> list[Digest]:
        builder = Builder(self.store, Here(self.store), silent)
        return builder.make([product.output for product in products])

    def tree_of(self, output: Output) -> Tree:
        """The tree that a step makes."""
        (digest,) = Builder(self.store, Here(self.store), silent).make([output])
        return self.store.load_tree(digest)
