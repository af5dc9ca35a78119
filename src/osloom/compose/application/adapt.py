"""An application: package trees around one program, without what only a system needs.

No script runs. What of the scripts' work a container needs is done here: accounts, nsswitch.conf,
declared directories; and what the packages say of how their program runs is derived.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from osloom.base.digest import Digest
from osloom.base.numbers import LAST_ID, to_number
from osloom.compose.accounts import Accounts
from osloom.compose.application.declared import (
    GROUPS,
    USERS,
    add_declared_accounts,
    add_group,
    add_member,
    add_user,
    make_declared_paths,
    make_directory,
)
from osloom.compose.application.entrypoint import find_entrypoint, programs
from osloom.compose.application.trim import trimmed
from osloom.compose.control import Control
from osloom.compose.customise import Root, put_file, read_accounts, write_accounts
from osloom.engine.step import Job, action
from osloom.model.application import Derived
from osloom.model.definition import File, Group, User
from osloom.model.tree import Node, Tree, decode
from osloom.model.values import NONROOT

if TYPE_CHECKING:
    from osloom.compose.application.units.service import Service

NONROOT_ID = 65532
"""As other images of this kind have it, so that volumes fit."""
_LINKS = {"var/run": "/run", "var/lock": "/run/lock"}
"""What the scripts of base-files make, and many programs still write to."""
_DIRECTORY = Node("dir", 0o755)
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
    configured: bool = False
    """Whether the packages' scripts have run: then only what is derived is left to do."""
    keep: tuple[str, ...] = ()
    service: str | None = None
    entrypoint: bool = True
    """Whether to look for one."""
    user: str | None = None
    """Whom the definition says the program runs as."""
    own: tuple[str, ...] = ()
    """The users and groups that the definition makes later."""
    named: tuple[str, ...] = ()
    """Those that it names for files and users."""
    ports: bool = False
    """Whether the definition says on which the program listens."""
    paths: tuple[str, ...] = ()
    """Of the definition's files."""
    files: dict[str, File] = {}
    """They themselves, which a service is read with."""
    sources: dict[str, str] = {}
    """For each of them with a source, the digest of its tree."""
    env: dict[str, str] = {}
    """Of the definition."""
    home: str | None = None


@action(version=5, light=True)
def adapt(job: Job) -> Mapping[str, Digest]:
    """The merged packages `tree` as an application's; and `derived`, a Derived as JSON.

    `main` has the tree and the control tree of the package it is named for, `controls` the control
    trees of all.
    """
    settings = msgspec.convert(job.parameters["settings"], Settings)
    tree = job.tree() if settings.configured else trimmed(job.tree(), settings.keep)
    root = Root(dict(tree.items()), job.store.blobs, settings.epoch)
    accounts = read_accounts(root)
    derived = Derived()
    if not settings.configured:
        derived = _prepare(
            root, accounts, tree, [Control(one, root.blobs) for one in job.trees("controls")]
        )
    if settings.main:
        shipped, files = job.trees("main")
        control = Control(files, job.store.blobs)
        derived = msgspec.structs.replace(
            derived,
            title=control.name,
            description=control.fields.get("Description", "").partition("\n")[0],
        )
        if settings.entrypoint and not settings.service:
            derived = _with_program(derived, control, shipped, tree)
    if settings.service:
        answered = {"user": settings.user is not None, "ports": settings.ports}
        whole = _with_files(root, settings)
        service = find_service(
            Tree(whole.nodes),
            whole,
            settings.service,
            answered=[key for key in answered if answered[key]],
            environment=settings.env,
        )
        derived = _with_service(derived, service, root, accounts, settings)
    if not settings.configured:
        if settings.entrypoint:
            derived = _with_missing(derived, _with_files(root, settings))
        _add_users(accounts, settings)
        more = make_declared_paths(root, accounts, answered=settings.paths)
        derived = msgspec.structs.replace(derived, notes=(*derived.notes, *more))
        if not derived.user:
            derived = msgspec.structs.replace(derived, user=f"{NONROOT_ID}:{NONROOT_ID}")
    write_accounts(root, accounts)
    return {
        "tree": job.store.add_tree(Tree(root.nodes)),
        "derived": job.store.blobs.add(msgspec.json.encode(derived)),
    }


def _prepare(root: Root, accounts: Accounts, tree: Tree, controls: Sequence[Control]) -> Derived:
    """What scripts and the packages of every system would have put into /etc."""
    if not controls:
        # What os-release(5) says of a system that has no name of its own.
        root.write("usr/lib/os-release", 'NAME=Linux\nID=linux\nPRETTY_NAME="Linux"\n')
    if "etc/nsswitch.conf" not in root.nodes:
        root.write("etc/nsswitch.conf", _NSSWITCH)
    add_user(accounts, "nobody", epoch=root.epoch)
    add_declared_accounts(root, accounts)
    from osloom.compose.application.unrun import do_without, read_scripts, script_notes

    found = read_scripts(controls, tree)
    do_without(root, accounts, found)
    return Derived(notes=script_notes(found, tree))


def _with_program(derived: Derived, control: Control, shipped: Tree, tree: Tree) -> Derived:
    found = find_entrypoint(control.name, shipped, tree)
    if found is not None:
        return msgspec.structs.replace(derived, entrypoint=(found,))
    own = programs(shipped, tree)
    there = f"it has {', '.join(own[:8])}" if own else "it has none itself"
    note = f"no program of `{control.name}` is plainly the one to run ({there}): say `entrypoint`"
    return msgspec.structs.replace(derived, notes=(*derived.notes, note))


def _with_missing(derived: Derived, whole: Root) -> Derived:
    from osloom.compose.application.shell_programs import missing_programs

    more = missing_programs(derived.entrypoint, whole.nodes, whole.read)
    return msgspec.structs.replace(derived, notes=(*derived.notes, *more))


def _with_files(root: Root, settings: Settings) -> Root:
    """A copy that has the definition's files, whoever owns them."""
    made = Root(dict(root.nodes), root.blobs, root.epoch)
    nobody = Accounts.parse({})
    for path, file in settings.files.items():
        source = settings.sources.get(path)
        tree = decode(root.blobs.read(Digest(source))) if source else None
        plain = msgspec.structs.replace(file, owner="root", group=None)
        put_file(made, path, plain, tree, nobody)
    return made


def find_service(
    tree: Tree,
    root: Root,
    name: str,
    *,
    answered: Collection[str] = (),
    environment: Mapping[str, str] = {},
) -> "Service":
    """The service `name` of the packages, carried over; see `carry_over`."""
    from osloom.compose.application.units.search import find_drop_ins, find_sockets, find_unit
    from osloom.compose.application.units.service import carry_over

    def read(path: str) -> str | None:
        place = tree.resolve(path)
        return root.read(place) if place in tree else None

    unit = find_unit(tree, name, root.read)
    if unit.is_alias:
        name = unit.path.rpartition("/")[2]
    return carry_over(
        root.read(unit.path),
        name=name,
        answered=answered,
        environment=environment,
        drop_ins=[root.read(path) for path in find_drop_ins(tree, name)],
        sockets={socket: root.read(path) for socket, path in find_sockets(tree).items()},
        read=read,
    )


def _with_service(
    derived: Derived, service: "Service", root: Root, accounts: Accounts, settings: Settings
) -> Derived:
    if not settings.configured:
        # Its own settings name who it becomes: `www-data`, more often than not.
        for name in USERS:
            add_user(accounts, name, epoch=settings.epoch)
        for name in GROUPS:
            add_group(accounts, name)
        for place, target in _LINKS.items():
            # base-files ships them as empty directories.
            if not any(path.startswith(f"{place}/") for path in root.nodes):
                make_directory(root, target, root.nodes.get(place, _DIRECTORY).mode, (0, 0))
                root.nodes[place] = Node("symlink", 0o777, mtime=root.epoch, target=target)
    own = service.user or "root"
    add_user(accounts, own, epoch=settings.epoch)
    said = (settings.user or "").partition(":")[0]
    is_number = to_number(said, LAST_ID) is not None
    user = said if is_number or any(row[0] == said for row in accounts.passwd) else own
    if service.group:
        add_group(accounts, service.group)
    for group in service.supplementary_groups:
        add_member(accounts, user, group, epoch=settings.epoch)
    uid = accounts.uid(user)
    gid = accounts.gid(service.group) if service.group else _primary(accounts, uid)
    for one in service.directories:
        owner = (accounts.uid(one.user) if one.user else uid, gid)
        if one.group:
            owner = (owner[0], accounts.gid(one.group))
        make_directory(root, one.path, one.mode, owner)
    return msgspec.structs.replace(
        derived,
        entrypoint=service.entrypoint,
        user=f"{uid}:{gid}",
        environment=service.environment,
        working_directory=service.working_directory,
        stop_signal=service.stop_signal,
        directories=tuple(one.path for one in service.directories),
        volumes=service.volumes,
        ports=service.ports,
        notes=(*derived.notes, *service.notes),
    )


def _primary(accounts: Accounts, uid: int) -> int:
    return next((int(row[3]) for row in accounts.passwd if row[2] == str(uid)), uid)


def _add_users(accounts: Accounts, settings: Settings) -> None:
    """The default user, and whom the definition names but does not make."""
    accounts.add_group(NONROOT, Group(gid=NONROOT_ID))
    user = User(
        uid=NONROOT_ID, group=NONROOT, system=True, home=settings.home, shell="/usr/sbin/nologin"
    )
    accounts.add_user(NONROOT, user, epoch=settings.epoch)
    name, _, group = (settings.user or "").partition(":")
    for one in (name, *settings.named):
        if one in USERS and one not in settings.own:
            add_user(accounts, one, epoch=settings.epoch)
    for one in (group, *settings.named):
        if one in GROUPS and one not in settings.own:
            add_group(accounts, one)
