"""What the kernel's part of an image will be, told before any package of it is configured.

Nearly always the packages' scripts do to it what depmod does. Where they do more, what was made of
this is of no use, and nothing is wrong.
"""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.engine.step import Job, action
from osloom.model.tree import Node, Tree

_MODULES = "usr/lib/modules"


@action(version=1)
def index_modules(job: Job) -> Mapping[str, Digest]:
    """The indexes of the kernels' modules in the tree `tree`, and nothing else, depmod(8)."""
    tree = job.tree()
    kernels = [
        path.split("/")[3]
        for path in tree
        if path.startswith(f"{_MODULES}/") and path.count("/") == 3 and f"{path}/kernel" in tree
    ]
    found: dict[str, Node] = {}
    for version in kernels:
        job.tools().run(
            ["depmod", "--basedir", "/mnt/root", "--outdir", "/mnt/work", version],
            work=job.work,
            reads={"root": job.store.checkout(job.digest())},
        )
        for file in sorted((job.work / "lib/modules" / version).iterdir()):
            data = file.read_bytes()
            found[f"{_MODULES}/{version}/{file.name}"] = Node(
                "file",
                0o644,
                mtime=job.parameters["epoch"],
                size=len(data),
                digest=job.store.blobs.add(data),
            )
    return {"tree": job.store.add_tree(Tree(found))}


@action(version=1, light=True)
def foretell_kernel(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` with the `indexes` of its kernels' modules."""
    return {"tree": job.store.add_tree(job.tree().overlaid(job.tree("indexes")))}
