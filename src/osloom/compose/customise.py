"""What the definition adds to the packages, as far as no program has to run for it.

Users and groups, host name, time zone, kernel parameters, files, os-release: pure work on a tree.
"""

from collections.abc import Iterable, Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError, nearest
from osloom.compose.accounts import Accounts
from osloom.compose.normalise import own_of
from osloom.engine.step import Job, action
from osloom.model.definition import File, Group, Image, User
from osloom.model.tree import Node, Tree, parents, resolve_links
from osloom.store.blobs import Blobs

_ACCOUNT_FILES = {
    "passwd": (0o644, 0),
    "group": (0o644, 0),
    "shadow": (0o640, 42),
    "gshadow": (0o640, 42),
}
"""Mode and group of each; 42 is `shadow` in every Debian system."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `customise`."""

    epoch: int
    name: str
    version: str
    hostname: str | None = None
    timezone: str | None = None
    locale: str | None = None
    sysctl: dict[str, str | int] = {}
    users: dict[str, User] = {}
    groups: dict[str, Group] = {}
    files: dict[str, File] = {}
    sources: dict[str, str] = {}
    """For each file with a source, the digest of its tree."""


def files_of(image: Image) -> dict[str, File]:
    """The definition's files, by their paths."""
    return {
        path: File(source=file) if isinstance(file, str) else file
        for path, file in image.files.items()
    }


class Root(msgspec.Struct):
    """A tree being changed."""

    nodes: dict[str, Node]
    blobs: Blobs
    epoch: int

    def find(self, path: str) -> Node | None:
        """The file at `path`, every link followed."""
        node = self.nodes.get(resolve_links(self.nodes, path))
        return self.nodes[node.target] if node and node.kind == "hardlink" else node

    def read(self, path: str) -> str:
        node = self.find(path)
        data = self.blobs.read(node.digest) if node and node.digest else b""
        return data.decode(errors="surrogateescape")

    def write(self, path: str, text: str, *, mode: int = 0o644, gid: int = 0) -> None:
        data = text.encode(errors="surrogateescape")
        digest = self.blobs.add(data, executable=bool(mode & 0o111))
        self.put(path, Node("file", mode, gid=gid, size=len(data), digest=digest))

    def put(self, path: str, node: Node) -> str:
        """Gives where it is, see `place`. Raises BuildError where something is in the way."""
        place = self.place(path)
        for parent in parents(place):
            self.nodes.setdefault(parent, Node("dir", 0o755, mtime=self.epoch))
            if self.nodes[parent].kind != "dir":
                raise BuildError(f"cannot put `/{path}` into the image: `/{parent}` is a file")
        there = self.nodes.get(place)
        if there is not None and there.kind == "dir" and node.kind != "dir":
            raise BuildError(
                f"cannot put `/{path}` into the image: a directory is there",
                hint=f'remove it first: `remove = ["/{path}"]`',
            )
        self.nodes[place] = msgspec.structs.replace(node, mtime=self.epoch)
        return place

    def place(self, path: str) -> str:
        """Where `path` is, its directory's links followed, as when it is written."""
        directory, _, name = path.strip("/").rpartition("/")
        found = resolve_links(self.nodes, directory)
        return f"{found}/{name}" if found else name


@action(version=5, light=True)
def customise(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` with the settings of `parameters` applied, as a new tree; and `own`, as JSON
    what of the definition's files `finish` would take for something that scripts have left.

    With `base`, the tree of a base image, accounts are made only where the definition asks. With
    `accounts`, a tree that has them, they are that one's, and none are written.
    """
    settings = msgspec.convert(job.parameters["settings"], Settings)
    tree = job.tree()
    root = Root(dict(tree.items()), job.store.blobs, settings.epoch)
    _write_identity(root, settings)
    others = "accounts" in job.inputs
    there = Root(dict(job.tree("accounts").items()), root.blobs, root.epoch) if others else root
    accounts = read_accounts(there)
    before = accounts.files() if others or "base" in job.inputs else {}
    for name, group in settings.groups.items():
        accounts.add_group(name, group)
    for name, user in settings.users.items():
        accounts.add_user(name, user, epoch=settings.epoch)
    write_accounts(root, accounts, before)
    made: list[str] = []
    for path, file in settings.files.items():
        source = settings.sources.get(path)
        tree_of_it = job.store.load_tree(Digest(source)) if source else None
        made += put_file(root, path, file, tree_of_it, accounts)
    # Over what was there: a file that is replaced stays under its other names.
    return {
        "tree": job.store.add_tree(tree.overlaid(Tree(root.nodes))),
        "own": job.store.blobs.add(msgspec.json.encode(own_of(made))),
    }


def _write_identity(root: Root, settings: Settings) -> None:
    unit = "systemd-firstboot.service"
    if f"usr/lib/systemd/system/{unit}" in root.nodes:
        # It would ask at the console of a machine that nobody watches; the definition has answered.
        root.put(f"etc/systemd/system/{unit}", Node("symlink", 0o777, target="/dev/null"))
    if settings.hostname is not None:
        root.write("etc/hostname", f"{settings.hostname}\n")
    if settings.timezone is not None:
        zone = f"usr/share/zoneinfo/{settings.timezone}"
        found = root.find(zone)
        if found is None or found.kind == "dir":
            raise _unknown_zone(settings.timezone, root.nodes)
        root.put("etc/localtime", Node("symlink", 0o777, target=f"/{zone}"))
        root.write("etc/timezone", f"{settings.timezone}\n")
    if settings.locale is not None:
        _check_locale(settings.locale, root.nodes)
        root.write("etc/locale.conf", f"LANG={settings.locale}\n")
        root.put("etc/default/locale", Node("symlink", 0o777, target="../locale.conf"))
    if settings.sysctl:
        lines = [f"{name} = {value}\n" for name, value in sorted(settings.sysctl.items())]
        root.write("etc/sysctl.d/50-osloom.conf", "".join(lines))
    release = root.read("usr/lib/os-release")
    if release:
        # A file of its own: the package's file stays as dpkg knows it.
        extra = f"IMAGE_ID={settings.name}\nIMAGE_VERSION={settings.version}\n"
        root.write("etc/os-release", release.rstrip("\n") + "\n" + extra)


def _check_locale(locale: str, paths: Iterable[str]) -> None:
    """Raises BuildError where Debian's libc would not know `C.UTF-8`: programs end at once then."""
    own = [path for path in paths if path.startswith("usr/lib/")]
    if locale != "C.UTF-8" or "usr/lib/locale/C.utf8" in own:
        return
    if any(path.count("/") == 3 and path.endswith("-linux-gnu/libc.so.6") for path in own):
        raise BuildError(
            "cannot set the locale `C.UTF-8`: the image does not have it",
            hint="add the package `libc-bin`",
        )


def _unknown_zone(zone: str, paths: Iterable[str]) -> BuildError:
    prefix = "usr/share/zoneinfo/"
    zones = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
    if not zones:
        return BuildError(
            f"cannot set the time zone `{zone}`: the image has no time zones",
            hint="add the package `tzdata`",
        )
    close = nearest(zone, zones)
    return BuildError(
        f"cannot find the time zone `{zone}`", hint=f"did you mean `{close[0]}`?" if close else None
    )


def read_accounts(root: Root) -> Accounts:
    return Accounts.parse({name: root.read(f"etc/{name}") for name in _ACCOUNT_FILES})


def write_accounts(root: Root, accounts: Accounts, before: Mapping[str, str] | None = None) -> None:
    """The four files, where they say something else than before, and the home directories.

    `before` has texts that need not be written although they are not there.
    """
    for name, text in accounts.files().items():
        if text not in (root.read(f"etc/{name}"), (before or {}).get(name)):
            there = root.find(f"etc/{name}")
            mode, gid = (there.mode, there.gid) if there else _ACCOUNT_FILES[name]
            root.write(f"etc/{name}", text, mode=mode, gid=gid)
    for path, uid, gid, keys in accounts.homes:
        _make_home(root, path.strip("/"), (uid, gid), keys)


def _make_home(root: Root, path: str, owner: tuple[int, int], keys: tuple[str, ...]) -> None:
    uid, gid = owner
    directory = Node("dir", 0o700 if path == "root" else 0o755, uid=uid, gid=gid)
    if root.place(path) not in root.nodes:
        root.put(path, directory)
    if keys:
        text = "".join(f"{key}\n" for key in keys)
        root.put(f"{path}/.ssh", msgspec.structs.replace(directory, mode=0o700))
        data = text.encode()
        node = Node("file", 0o600, uid=uid, gid=gid, size=len(data), digest=root.blobs.add(data))
        root.put(f"{path}/.ssh/authorized_keys", node)


def put_file(
    root: Root, path: str, file: File, source: Tree | None, accounts: Accounts
) -> list[str]:
    """Put the file at `path`; `source` is the tree of one that has a source. Gives all its paths."""
    place = path.strip("/")
    uid = accounts.uid(file.owner)
    gid = accounts.gid(file.group if file.group is not None else file.owner)
    mode = int(file.mode, 8) if file.mode is not None else None
    made = []
    for name, node in (source or _written(file, root.blobs)).items():
        whole = msgspec.structs.replace(node, uid=uid, gid=gid)
        if mode is not None and (name == "" or node.kind == "file"):
            whole = msgspec.structs.replace(whole, mode=_mode(mode, node))
        made.append(root.put(f"{place}/{name}" if name else place, whole))
    return made


def _mode(mode: int, node: Node) -> int:
    """A mode given for files lets their owner into the directories too."""
    return mode | (mode & 0o444) >> 2 if node.kind == "dir" else mode


def _written(file: File, blobs: Blobs) -> Tree:
    if file.link is not None:
        return Tree({"": Node("symlink", 0o777, target=file.link)})
    if file.directory:
        return Tree({"": Node("dir", 0o755)})
    data = (file.text or "").encode()
    return Tree({"": Node("file", 0o644, size=len(data), digest=blobs.add(data))})
