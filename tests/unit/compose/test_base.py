"""The base is configured by itself, and what came of it is kept under the rest."""

from pathlib import Path

from osloom.base.digest import digest_bytes
from osloom.compose.base import parts_of, with_base
from osloom.compose.control import Control
from osloom.compose.dpkg import Unpacked
from osloom.model.lock import Package
from osloom.model.tree import Node, Tree
from osloom.store.store import Store

STATUS = "var/lib/dpkg/status"


def package(name: str, *depends: str, required: bool = False) -> Package:
    return Package(
        name=name,
        version="1",
        architecture="all",
        repository="debian/trixie",
        path="",
        size=1,
        digest=digest_bytes(name.encode()),
        depends=depends,
        required=required,
    )


def test_what_is_required_is_configured_first_and_then_the_system() -> None:
    packages = [
        package("bash", "libc6", required=True),
        package("libc6", "libgcc-s1"),
        package("libgcc-s1", "libc6"),
        package("vim", "libc6"),
        package("dash", "elsewhere", required=True),
    ]
    base = {"bash", "libc6", "libgcc-s1", "dash"}
    assert parts_of(packages) == [base, {"vim"}]
    packages += [package("linux-image-6-amd64", "kmod", "bash"), package("kmod", "libc6")]
    packages += [package("systemd-sysv", "systemd"), package("systemd")]
    system = {"linux-image-6-amd64", "kmod", "systemd-sysv", "systemd"}
    assert parts_of(packages) == [base, system, {"vim"}]
    assert parts_of([one for one in packages if one.name in system]) == [system]


class Trees:
    """Files by path, as a tree, in a store."""

    def __init__(self, place: Path) -> None:
        self.blobs = Store(place).blobs

    def file(self, text: str) -> Node:
        data = text.encode()
        return Node("file", 0o644, size=len(data), digest=self.blobs.add(data))

    def __call__(self, **files: str) -> Tree:
        return Tree({path.replace("__", "/"): self.file(text) for path, text in files.items()})

    def text(self, tree: Tree, path: str) -> str:
        digest = tree[path].digest
        assert digest is not None
        return self.blobs.read(digest).decode()


def stanza(name: str, state: str) -> str:
    return f"Package: {name}\nStatus: install ok {state}\nArchitecture: all\n"


def test_what_scripts_of_the_base_did_is_kept(tmp_path: Path) -> None:
    trees = Trees(tmp_path)
    info = {"var__lib__dpkg__info__bash.list": "/.\n", "etc__kept": "as shipped", "etc__gone": ""}
    before = Tree({**trees(**info), STATUS: trees.file(stanza("bash", "unpacked"))})
    after = Tree(
        {
            **trees(**info | {"etc__kept": "changed", "etc__made": "made", "etc__zsh": "guess"}),
            STATUS: trees.file(stanza("bash", "installed")),
        }
    ).without(["etc/gone"])
    late = Tree({"usr/share/shells.d/zsh": Node("file", 0o644), "etc/zsh": Node("file", 0o644)})
    unpacked = Tree(
        {
            **before,
            **trees(
                etc__zsh="shipped",
                var__lib__dpkg__info__zsh=".list",
                var__lib__dpkg__triggers__File="/usr/share/shells.d bash\n/usr/share/man bash\n",
            ),
            STATUS: trees.file(stanza("bash", "unpacked") + "\n" + stanza("zsh", "unpacked")),
        }
    )
    control = Control(trees(control="Package: zsh\nVersion: 1\nArchitecture: all\n"), trees.blobs)
    tree = with_base(unpacked, [Unpacked(control, late)], (before, after), trees.blobs)
    assert trees.text(tree, "etc/kept") == "changed"
    assert trees.text(tree, "etc/made") == "made"
    assert trees.text(tree, "etc/zsh") == "shipped"
    assert "etc/gone" not in tree
    assert trees.text(tree, STATUS) == stanza("bash", "installed") + "\n" + stanza(
        "zsh", "unpacked"
    )
    assert trees.text(tree, "var/lib/dpkg/triggers/Unincorp") == "/usr/share/shells.d -\n"
