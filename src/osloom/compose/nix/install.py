"""Packages of Nix in an image: their closure, and a profile of them.

The last that is done to an image: nothing that cleans up or sets times touches a store path. Where
scripts of the definition run, the packages are there before as well, and have to be the same
afterwards.
"""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.customise import Root, read_accounts
from osloom.compose.nix.database import SCHEMA, write_nix_database
from osloom.compose.nix.environment import add_environment, derived_of
from osloom.compose.nix.profile import PROFILE, Profile, make_profile
from osloom.engine.step import Job, action
from osloom.model.application import Derived
from osloom.model.closure import STORE, StorePath
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs

_STORE = STORE.removeprefix("/")
_STATE = "nix/var/nix"
_DATABASE = f"{_STATE}/db/db.sqlite"
_BUILDERS = "nixbld"
_OF_A_RUNNING_NIX = (
    f"{_DATABASE}-journal",
    f"{_DATABASE}-shm",
    f"{_DATABASE}-wal",
    f"{_STATE}/db/big-lock",
    f"{_STATE}/db/reserved",
    f"{_STATE}/gc.lock",
    f"{_STATE}/temproots",
)
"""What Nix leaves behind when a script calls it, and makes again when it starts."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `install_packages`."""

    epoch: int
    packages: tuple[tuple[str, ...], ...]
    """The base names of each package's store paths, in the definition's order."""
    registered: tuple[StorePath, ...] | None = None
    """The closure, where Nix inside is to know it; a store of nothing else is one, too."""
    application: bool = False
    """Whether it is an application of nothing but these packages."""
    entrypoint: bool = False
    """Whether to look for one among the programs of the first package."""


@action(version=2, light=True)
def install_packages(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` with the store paths `closure` in it; and `derived`, a Derived as JSON.

    `base` is the tree of the base image, if there is one. Raises BuildError where the image has
    something else already.
    """
    settings = msgspec.convert(job.parameters["settings"], Settings)
    blobs = job.store.blobs
    closure = dict(pair for tree in job.trees("closure") for pair in tree.items())
    profile = make_profile(settings.packages, closure, read=blobs.read, add=blobs.add)
    image = job.tree().without(() if settings.registered is None else _OF_A_RUNNING_NIX)
    _check_store(image, closure, blobs)
    root = Root({**image, **closure, **profile.tree}, blobs, settings.epoch)
    _add_state(root, image, profile)
    if settings.registered is not None:
        _add_database(root, job.tree("base") if "base" in job.inputs else {}, settings, profile)
    environment = add_environment(root, closure, application=settings.application)
    given = blobs.read(job.digest("derived")) if "derived" in job.inputs else b"{}"
    derived = derived_of(
        msgspec.json.decode(given, type=Derived),
        root.nodes,
        settings.packages[0] if settings.entrypoint else (),
        environment=environment,
        notes=profile.notes,
    )
    return {
        "tree": job.store.add_tree(Tree(root.nodes)),
        "derived": blobs.add(msgspec.json.encode(derived)),
    }


def _check_store(image: Tree, closure: Mapping[str, Node], blobs: Blobs) -> None:
    """Whether nothing of the closure is in the image as something else."""
    for path in ("nix", _STORE):
        if path in image and image[path].kind != "dir":
            raise BuildError(
                f"cannot put packages of Nix into the image: `/{path}` is a {image[path].kind}",
                hint="a Nix store has to be a directory, and no link leads to it",
            )
    below = f"{_STORE}/"
    for path, node in image.items():
        if path.startswith(below) and not _is_same(node, closure.get(path), blobs):
            root = "/".join(path.split("/")[:3])
            if root in closure:
                raise BuildError(
                    f"cannot put /{root} into the image: `/{path}` is not as Nix has it",
                    hint="nothing may change a store path: a script does, or the base has another",
                )


def _is_same(node: Node, other: Node | None, blobs: Blobs) -> bool:
    """A base of the same store path has it from an archive of its own."""
    if other is None or node.digest is None or other.digest is None:
        return node == other
    alike = msgspec.structs.replace(other, digest=node.digest) == node
    return alike and blobs.same(node.digest, other.digest)


def _add_state(root: Root, image: Tree, profile: Profile) -> None:
    """The profile's links, and the directory of the store as Nix wants it."""
    link = PROFILE.removeprefix("/")
    generation = f"{link}-1-link"
    links = {link: generation.rpartition("/")[2], generation: profile.path.path}
    for path, target in links.items():
        there = image.get(path)
        if there is not None and there.target != target:
            raise BuildError(
                f"cannot put packages of Nix into the image: `/{path}` is there already",
                hint="the base has a profile of its own: name its packages here, and start "
                "from another base",
            )
        root.put(path, Node("symlink", 0o777, target=target))
    # A daemon's builders, in a group of this name, write into the store and not to each other's
    # paths; without them it is root's alone. LocalStore::LocalStore sees to the same.
    gid = next((int(row[2]) for row in read_accounts(root).group if row[0] == _BUILDERS), None)
    store = Node("dir", 0o755) if gid is None else Node("dir", 0o1775, gid=gid)
    root.put(_STORE, store)


def _add_database(
    root: Root, base: Mapping[str, Node], settings: Settings, profile: Profile
) -> None:
    if _DATABASE in base:
        raise BuildError(
            f"cannot register packages of Nix in the image: its base has `/{_DATABASE}`",
            hint="leave `installed` out, or start from a base without Nix",
        )
    data = write_nix_database((*(settings.registered or ()), profile.path))
    digest = root.blobs.add(data)
    root.put(_DATABASE, Node("file", 0o644, size=len(data), digest=digest))
    root.write(f"{_STATE}/db/schema", SCHEMA)
    # So that no collection of garbage takes what the profile holds.
    root.put(f"{_STATE}/gcroots/profiles", Node("symlink", 0o777, target=f"/{_STATE}/profiles"))
    home = "root/.nix-profile"
    if "root" in root.nodes and home not in root.nodes:
        root.put(home, Node("symlink", 0o777, target=PROFILE))
