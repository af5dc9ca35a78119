"""What a machine whose users add to the Nix store finds in its image."""

from osloom.compose.nix.writable import make_writable, plan_writable
from osloom.engine.step import Job, Step
from osloom.model.tree import Node, Tree
from osloom.store.store import Store


def made(store: Store, tree: Tree) -> Tree:
    before = Step(action=make_writable, title="before").output()
    step = plan_writable("edge", before, epoch=7).step
    job = Job(
        store=store,
        parameters=step.parameters,
        inputs={"tree": store.add_tree(tree)},
        work=store.root,
    )
    return store.load_tree(step.action.run(job)["tree"])


def test_units_are_wanted_and_the_program_can_run(store: Store) -> None:
    tree = made(store, Tree({"nix": Node("dir", 0o755), "root": Node("dir", 0o700)}))
    units = "usr/lib/systemd/system"
    targets = {path: node.target for path, node in tree.items() if node.kind == "symlink"}
    assert targets == {
        f"{units}/local-fs.target.wants/nix-writable.service": "../nix-writable.service",
        f"{units}/paths.target.wants/nix-keep.path": "../nix-keep.path",
        "root/.nix-profile": "/nix/var/nix/profiles/per-user/root/profile",
    }
    files = {path: oct(node.mode) for path, node in tree.items() if node.kind == "file"}
    assert files == {
        "etc/profile.d/nix-writable.sh": "0o644",
        f"{units}/nix-keep.path": "0o644",
        f"{units}/nix-keep.service": "0o644",
        f"{units}/nix-writable.service": "0o644",
        "usr/libexec/nix-writable": "0o755",
    }
    assert {node.mtime for path, node in tree.items() if path not in ("nix", "root")} == {7}
    assert tree["var/lib/nix"].kind == "dir"
    assert tree["nix"] == Node("dir", 0o755)
