"""An application: package trees around one program, without what only a system needs.

No script runs. What of the scripts' work a container needs is done here: accounts, nsswitch.conf;
and what the packages say of how their program runs is derived.
"""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.compose.control import Control
from osloom.compose.customise import Root, write_accounts
from osloom.compose.entrypoint import find_entrypoint, programs
from osloom.compose.trim import trimmed
from osloom.engine.step import Job, action
from osloom.model.application import Derived
from osloom.model.definition import Group, User
from osloom.model.tree import Tree

NONROOT = "nonroot"
NONROOT_ID = 65532
"""As other images of this kind have it, so that volumes fit."""
_NOBODY = 65534
_NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `adapt`."""

    epoch: int
    main: str
    """The package that the application is named for; empty when the definition names none."""
    keep: tuple[str, ...] = ()
    service: str | None = None
    entrypoint: bool = True
    """Whether to look for one."""
    user: bool = True
    """Whether to make one."""
    home: str | None = None


@action(version=1)
def adapt(job: Job) -> Mapping[str, Digest]:
    """The merged packages `tree` as an application's; and `derived`, a Derived as JSON.

    `main` has the tree and the control tree of the package it is named for.
    """
    settings = msgspec.convert(job.parameters["settings"], Settings)
    tree = trimmed(job.tree(), settings.keep)
    root = Root(dict(tree.items()), job.store.blobs, settings.epoch)
    derived = Derived()
    if settings.main:
        shipped, control = job.trees("main")
        derived = _from_package(Control(control, job.store.blobs), shipped, tree, settings)
    if "etc/nsswitch.conf" not in root.nodes:
        root.write("etc/nsswitch.conf", _NSSWITCH)
    if settings.user:
        derived = msgspec.structs.replace(derived, user=f"{NONROOT_ID}:{NONROOT_ID}")
    write_accounts(root, _groups(settings), _users(settings), epoch=settings.epoch)
    return {
        "tree": job.store.add_tree(Tree(root.nodes)),
        "derived": job.store.blobs.add(msgspec.json.encode(derived)),
    }


def _from_package(control: Control, shipped: Tree, tree: Tree, settings: Settings) -> Derived:
    derived = Derived(
        title=control.name, description=control.fields.get("Description", "").partition("\n")[0]
    )
    if not settings.entrypoint:
        return derived
    found = find_entrypoint(control.name, shipped, tree)
    if found is not None:
        return msgspec.structs.replace(derived, entrypoint=(found,))
    own = programs(shipped, tree)
    there = f"it has {', '.join(own[:8])}" if own else "it has none itself"
    note = f"no program of `{control.name}` is plainly the one to run ({there}): say `entrypoint`"
    return msgspec.structs.replace(derived, notes=(note,))


def _groups(settings: Settings) -> dict[str, Group]:
    groups = {"nogroup": Group(gid=_NOBODY)}
    return groups | ({NONROOT: Group(gid=NONROOT_ID)} if settings.user else {})


def _users(settings: Settings) -> dict[str, User]:
    nologin = "/usr/sbin/nologin"
    users = {"nobody": User(uid=_NOBODY, group="nogroup", system=True, shell=nologin)}
    if settings.user:
        users[NONROOT] = User(
            uid=NONROOT_ID, group=NONROOT, system=True, home=settings.home, shell=nologin
        )
    return users
