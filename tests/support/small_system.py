"""A NixOS system of a few files, for tests that boot nothing."""

import json
from collections.abc import Mapping

from osloom.compose.nix.system import system_tree
from osloom.model.bootspec import V1
from osloom.model.closure import StorePath
from osloom.model.tree import Node, Tree
from osloom.store.store import Store

EPOCH = 1_700_000_000
TOP, ETC, LINUX, CHILD = (
    f"{digit * 32}-{name}"
    for digit, name in zip("0123", ("nixos-system-web", "etc", "linux", "nixos-debug"), strict=True)
)
FSTAB = "/dev/disk/by-partlabel/root / ext4 x-initrd.mount 0 1\n"


def entry(toplevel: str) -> dict[str, object]:
    return {
        "system": "x86_64-linux",
        "init": f"/nix/store/{toplevel}/init",
        "initrd": f"/nix/store/{LINUX}/initrd",
        "kernel": f"/nix/store/{LINUX}/bzImage",
        "kernelParams": ["root=fstab"],
        "label": "NixOS 25.11 (Linux 6.12)",
        "toplevel": f"/nix/store/{toplevel}",
    }


BOOT = json.dumps({V1: entry(TOP), "org.nixos.specialisation.v1": {"debug": {V1: entry(CHILD)}}})


def closure(store: Store, changes: Mapping[str, str | None] | None = None) -> Tree:
    """The store paths; `changes` has other contents of files, or None for one that is not there."""
    texts: dict[str, str | None] = {
        f"{TOP}/init": "#!/bin/sh\n",
        f"{TOP}/nixos-version": "25.11",
        f"{TOP}/system": "x86_64-linux",
        f"{TOP}/boot.json": BOOT,
        f"{CHILD}/init": "#!/bin/sh\n",
        f"{ETC}/os-release": 'ID=nixos\nPRETTY_NAME="NixOS 25.11"\n',
        f"{ETC}/fstab": FSTAB,
        f"{LINUX}/bzImage": "kernel",
        f"{LINUX}/initrd": "initrd",
        **(changes or {}),
    }
    nodes: dict[str, Node] = {}
    for path, text in texts.items():
        if text is not None:
            data, mode = text.encode(), 0o555 if path.endswith("/init") else 0o444
            digest = store.blobs.add(data, executable=mode == 0o555)
            nodes[path] = Node("file", mode, mtime=1, size=len(data), digest=digest)
    for toplevel in (TOP, CHILD):
        nodes[f"{toplevel}/etc"] = Node("symlink", 0o777, mtime=1, target=f"/nix/store/{ETC}")
    nodes |= {path.partition("/")[0]: Node("dir", 0o555, mtime=1) for path in [*nodes]}
    return Tree((f"nix/store/{path}", node) for path, node in nodes.items())


def small_system(store: Store, changes: Mapping[str, str | None] | None = None) -> Tree:
    """The root of the system."""
    paths = [
        StorePath(name=name, nar_hash=store.blobs.add(name.encode()), nar_size=1)
        for name in (TOP, ETC, LINUX, CHILD)
    ]
    blobs = (store.blobs.read, store.blobs.add)
    return system_tree(closure(store, changes), paths, TOP, blobs, epoch=EPOCH)
