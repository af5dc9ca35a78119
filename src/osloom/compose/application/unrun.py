"""What the packages' scripts would have done: done here where it is plain, and named where not."""

from collections.abc import Callable, Iterable, Mapping

from osloom.base.numbers import LAST_ID, to_number
from osloom.compose.accounts import Accounts
from osloom.compose.application.declared import GROUPS, USERS, add_account, add_group, add_user
from osloom.compose.application.scripts.changes import Change, apply_changes
from osloom.compose.application.scripts.commands import Alternative
from osloom.compose.application.scripts.effects import Effects, effects
from osloom.compose.application.scripts.triggers import file_triggers
from osloom.compose.application.sysusers import Declared
from osloom.compose.control import Control
from osloom.compose.customise import Root
from osloom.model.tree import Node, Tree

_MEND = 'say `configure = "dpkg"` if the image needs that'


def read_scripts(controls: Iterable[Control], tree: Tree) -> dict[str, Effects]:
    """What the scripts of each package would do in the image, by its name."""
    found = {}
    for control in controls:
        texts = {name: control.text(name) for name in ("preinst", "postinst")}
        triggers = control.text("triggers")
        if triggers or any(texts.values()):
            found[control.name] = effects(control.name, texts, triggers, paths=tree)
    return found


def do_without(root: Root, accounts: Accounts, found: Mapping[str, Effects]) -> None:
    """Make the accounts, the alternatives and the changes of files that are plain."""
    for one in found.values():
        for declared in one.users:
            add_account(accounts, declared, epoch=root.epoch)
            _come_home(accounts, declared)
    root.blobs.add(b"")
    _link(root, [choice for one in found.values() for choice in one.alternatives])
    changes = [
        change
        for one in found.values()
        for change in one.changes
        if _is_known(change, accounts, root.epoch)
    ]
    root.nodes = dict(apply_changes(Tree(root.nodes), changes, uid=accounts.uid, gid=accounts.gid))


def _come_home(accounts: Accounts, declared: Declared) -> None:
    """Scripts make users before systemd-sysusers does: of those that it made, the home is theirs."""
    for row in accounts.passwd:
        if declared.kind == "user" and row[0] == declared.name and row[5] == "/":
            row[5] = declared.home


def _is_known(change: Change, accounts: Accounts, epoch: int) -> bool:
    """Whether the owner is one that the image has, or that every Debian system has."""
    if change.user in USERS:
        add_user(accounts, change.user, epoch=epoch)
    if change.group in GROUPS:
        add_group(accounts, change.group)
    return all(
        name is None or to_number(name, LAST_ID) is not None or any(row[0] == name for row in rows)
        for name, rows in ((change.user, accounts.passwd), (change.group, accounts.group))
    )


def best_alternatives(
    choices: Iterable[Alternative], is_there: Callable[[str], bool]
) -> Iterable[Alternative]:
    """Of each name the choice of the highest priority, update-alternatives(1); the first of equals."""
    best: dict[str, Alternative] = {}
    for one in choices:
        there = best.get(one.name)
        if is_there(one.path) and (there is None or one.priority > there.priority):
            best[one.name] = one
    return best.values()


def _link(root: Root, choices: Iterable[Alternative]) -> None:
    for one in best_alternatives(choices, lambda path: root.place(path) in root.nodes):
        for link, name, path in ((one.link, one.name, one.path), *one.slaves):
            if root.place(path) in root.nodes and root.place(link) not in root.nodes:
                root.put(f"etc/alternatives/{name}", Node("symlink", 0o777, target=path))
                target = f"/etc/alternatives/{name}"
                root.put(link.lstrip("/"), Node("symlink", 0o777, target=target))


def script_notes(found: Mapping[str, Effects], tree: Tree, *, mend: str = _MEND) -> tuple[str, ...]:
    """One sentence for each package whose scripts matter and did not run, sorted."""
    said = []
    for name, one in found.items():
        if not one.reasons:
            continue
        first, *others = one.reasons
        more = f" and do {len(others)} more things" if len(others) > 1 else ""
        more = f" and {others[0]}" if len(others) == 1 else more
        said.append(f"the scripts of `{name}` did not run: they would {first}{more}; {mend}")
    for path, program in file_triggers(tree):
        said.append(f"`{program}` did not run for the files in /{path}; {mend}")
    return tuple(sorted(said))
