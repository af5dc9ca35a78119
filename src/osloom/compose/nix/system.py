"""A NixOS system as an image tree: its closure, and the little that starts it.

Everything else of a NixOS root (/etc, users, /bin/sh, /usr/bin/env) is made by the system's own
activation when it starts. What is here is what nixpkgs' own images have before their first start
(nixos/lib/make-system-tarball.sh, nixos/modules/virtualisation/docker-image.nix), but that the
paths are registered already, and the profile is there.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.nix.database import SCHEMA, write_nix_database
from osloom.engine.step import Job, Step, action
from osloom.model.application import Derived
from osloom.model.bootspec import FIRST, PROFILE
from osloom.model.closure import STORE, StorePath
from osloom.model.tree import Node, Tree
from osloom.model.values import SYSTEMS
from osloom.sources.nix.steps import plan_store_path

_DIRECTORIES = {
    **dict.fromkeys(("boot", "dev", "etc", "home", "nix", "proc", "run", "sbin", "sys"), 0o755),
    # Without it systemd-nspawn takes the tree for no system.
    "usr": 0o755,
    "root": 0o700,
    "tmp": 0o1777,
    "var": 0o755,
    "var/tmp": 0o1777,
    **dict.fromkeys(("nix/var", "nix/var/nix", "nix/var/nix/db"), 0o755),
    **dict.fromkeys(("nix/var/nix/gcroots", "nix/var/nix/gcroots/auto"), 0o755),
    "nix/var/nix/profiles": 0o755,
}
_BUILDERS = 30000
"""The group `nixbld` of every NixOS, which may write to the store, nixos/modules/misc/ids.nix."""
_PATH = "/run/wrappers/bin:/run/current-system/sw/bin"
"""What NixOS has in its users' PATH."""


@action(version=1)
def make_system(job: Job) -> Mapping[str, Digest]:
    """The closure `paths`, of which `trees` are the trees, as a root that starts `toplevel`.

    `derived` is how a container of it runs.
    """
    blobs = job.store.blobs
    epoch, toplevel = job.parameters["epoch"], job.parameters["toplevel"]
    closure = Tree(pair for tree in job.trees("trees") for pair in tree.items())
    paths = msgspec.convert(job.parameters["paths"], tuple[StorePath, ...])
    whole = system_tree(closure, paths, toplevel, (blobs.read, blobs.add), epoch=epoch)
    check_system(whole, toplevel, job.parameters["architecture"], blobs.read)
    derived = Derived(
        entrypoint=(f"{STORE}/{toplevel}/init",),
        environment={"PATH": _PATH, "container": "oci"},
        stop_signal="SIGRTMIN+3",
    )
    return {
        "tree": job.store.add_tree(whole),
        "derived": blobs.add(msgspec.json.encode(derived)),
    }


def system_tree(
    closure: Tree,
    paths: Sequence[StorePath],
    toplevel: str,
    blobs: tuple[Callable[[Digest], bytes], Callable[[bytes], Digest]],
    *,
    epoch: int,
) -> Tree:
    """The root with `closure`, the files of `paths` at `nix/store/`, that starts `toplevel`.

    `blobs` reads contents and keeps them.
    """
    read, add = blobs

    def file(data: bytes, mode: int = 0o644) -> Node:
        return Node("file", mode, mtime=epoch, size=len(data), digest=add(data))

    def link(target: str) -> Node:
        return Node("symlink", 0o777, mtime=epoch, target=target)

    nodes = {path: Node("dir", mode, mtime=epoch) for path, mode in _DIRECTORIES.items()}
    nodes |= {
        "etc/NIXOS": file(b""),
        # "None yet" without the first boot that `uninitialized` would be: NixOS wants none,
        # nixos/modules/system/boot/stage-2-init.sh.
        "etc/machine-id": file(b"", 0o444),
        "init": link(f"{STORE}/{toplevel}/init"),
        "sbin/init": link(f"{STORE}/{toplevel}/init"),
        "nix/store": Node("dir", 0o1775, gid=_BUILDERS, mtime=epoch),
        "nix/var/nix/db/db.sqlite": file(write_nix_database(paths)),
        "nix/var/nix/db/schema": file(SCHEMA.encode()),
        PROFILE: link(FIRST.rpartition("/")[2]),
        FIRST: link(f"{STORE}/{toplevel}"),
        # As Nix itself makes it: profiles are roots of its garbage collector.
        "nix/var/nix/gcroots/profiles": link("/nix/var/nix/profiles"),
    }
    tree = Tree({**nodes, **closure})
    release = tree.get(tree.resolve(f"{STORE}/{toplevel}/etc/os-release"))
    if release is None or release.digest is None:
        raise _no_system(toplevel, "etc/os-release")
    # A copy, because systemd-nspawn reads it before anything of the system has run.
    return tree.overlaid(Tree({"etc/os-release": file(read(release.digest))}))


def check_system(
    tree: Tree, toplevel: str, architecture: str, read: Callable[[Digest], bytes]
) -> None:
    """Raises BuildError when `toplevel` is no NixOS system, or one for another machine."""
    for name in ("init", "nixos-version", "system"):
        if tree.resolve(f"{STORE}/{toplevel}/{name}") not in tree:
            raise _no_system(toplevel, name)
    node = tree[tree.resolve(f"{STORE}/{toplevel}/system")]
    system = read(node.digest).decode(errors="replace").strip() if node.digest else ""
    if system != SYSTEMS[architecture][0]:
        raise BuildError(
            f"cannot use {STORE}/{toplevel}: it is for {system}, "
            f"and the image for {SYSTEMS[architecture][0]}",
            hint="set `architecture` of the image, or build the system for another `system`",
        )


def _no_system(toplevel: str, name: str) -> BuildError:
    return BuildError(
        f"cannot use {STORE}/{toplevel} as a NixOS system: it has no `{name}`",
        hint="`nixos` is the toplevel: `.#nixosConfigurations.NAME` or its "
        "`config.system.build.toplevel`; single packages go into `nix`",
    )


def plan_system(
    name: str,
    paths: Sequence[StorePath],
    toplevel: str,
    *,
    architecture: str,
    epoch: int,
) -> Step:
    """The step that makes the root of a closure; `toplevel` is the base name of a path of it."""
    # Where a path came from is no part of what it is.
    plain = [msgspec.structs.replace(path, caches=()) for path in paths]
    return Step(
        action=make_system,
        title=f"make the system {name}",
        group=name,
        parameters={
            "architecture": architecture,
            "epoch": epoch,
            "paths": msgspec.to_builtins(plain),
            "toplevel": toplevel,
        },
        inputs={"trees": tuple(plan_store_path(path) for path in paths)},
    )
