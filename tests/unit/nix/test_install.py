"""Packages of Nix put into an image's tree."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from osloom.base.digest import digest_part
from osloom.base.errors import BuildError
from osloom.compose.nix.install import Settings, install_packages
from osloom.engine.step import Job
from osloom.model.application import Derived
from osloom.model.closure import StorePath
from osloom.model.tree import Node, Tree
from osloom.store.store import Store

EPOCH = 1_700_000_000
APP, CERTIFICATES = f"{'1' * 32}-app-1.0", f"{'2' * 32}-nss-cacert-3.1"
FILE = Node("file", 0o555, mtime=1, size=0, digest="sha256:" + "0" * 64)  # type: ignore[arg-type]
DIRECTORY = Node("dir", 0o555, mtime=1)


def closure(name: str, *files: str) -> Tree:
    root = f"nix/store/{name}"
    nodes = {root: DIRECTORY} | {f"{root}/{file}": FILE for file in files}
    for path in list(nodes):
        while path != root:
            path = path.rpartition("/")[0]  # noqa: PLW2901
            nodes.setdefault(path, DIRECTORY)
    return Tree(nodes)


class Bench:
    def __init__(self, root: Path) -> None:
        self.store = Store(root)

    def text(self, text: str) -> Node:
        data = text.encode()
        return Node("file", 0o644, size=len(data), digest=self.store.blobs.add(data))

    def read(self, tree: Tree, path: str) -> str:
        digest = tree[path].digest
        assert digest is not None
        return self.store.blobs.read(digest).decode()

    def install(
        self,
        image: Tree,
        trees: tuple[Tree, ...] = (closure(APP, "bin/app"),),
        base: Tree | None = None,
        **settings: Any,
    ) -> tuple[Tree, Derived]:
        given = Settings(epoch=EPOCH, **{"packages": ((APP,),), **settings})
        inputs: dict[str, Any] = {
            "tree": self.store.add_tree(image),
            "closure": tuple(self.store.add_tree(tree) for tree in trees),
        }
        if base is not None:
            inputs["base"] = self.store.add_tree(base)
        parameters = {"settings": msgspec.to_builtins(given)}
        job = Job(store=self.store, parameters=parameters, inputs=inputs, work=self.store.root)
        made = install_packages.run(job)
        derived = self.store.blobs.read(made["derived"])
        return self.store.load_tree(made["tree"]), msgspec.json.decode(derived, type=Derived)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def test_an_image_gets_the_paths_and_a_profile(bench: Bench) -> None:
    tree, derived = bench.install(Tree())
    (profile,) = {path.split("/")[2] for path in tree if path.endswith("-profile")}
    assert {path: node for path, node in tree.dump().items() if profile not in path} == {
        "/nix": "dir 0755",
        "/nix/store": "dir 0755",
        f"/nix/store/{APP}": "dir 0555",
        f"/nix/store/{APP}/bin": "dir 0555",
        f"/nix/store/{APP}/bin/app": "file 0555 00000000",
        "/nix/var": "dir 0755",
        "/nix/var/nix": "dir 0755",
        "/nix/var/nix/profiles": "dir 0755",
        "/nix/var/nix/profiles/default": "symlink default-1-link",
        "/nix/var/nix/profiles/default-1-link": f"symlink /nix/store/{profile}",
    }
    assert {node.mtime for path, node in tree.items() if path.startswith("nix/store/")} == {1}
    assert derived == Derived(path=("/nix/var/nix/profiles/default/bin",))


def test_builders_of_a_daemon_may_write_into_the_store(bench: Bench) -> None:
    tree, _ = bench.install(Tree({"etc/group": bench.text("root:x:0:\nnixbld:x:30000:nixbld1\n")}))
    assert tree.dump()["/nix/store"] == "dir 1775 0:30000"


def test_doing_it_again_changes_nothing(bench: Bench) -> None:
    image = Tree({"etc/profile.d": Node("dir", 0o755), "root": Node("dir", 0o700)})
    given = {"registered": (StorePath(name=APP, nar_hash=FILE.digest or "", nar_size=1),)}
    first, derived = bench.install(image, **given)
    assert bench.install(first, **given) == (first, derived)


@pytest.mark.parametrize(
    ("path", "node", "expected"),
    [
        (
            f"nix/store/{APP}/bin/app",
            Node("file", 0o755, digest=FILE.digest),
            (
                f"cannot put /nix/store/{APP} into the image: `/nix/store/{APP}/bin/app` is not as "
                "Nix has it"
            ),
        ),
        (
            f"nix/store/{APP}/bin/more",
            FILE,
            (
                f"cannot put /nix/store/{APP} into the image: `/nix/store/{APP}/bin/more` is not as "
                "Nix has it"
            ),
        ),
        (
            "nix",
            Node("symlink", 0o777, target="/usr/nix"),
            "cannot put packages of Nix into the image: `/nix` is a symlink",
        ),
        (
            "nix/var/nix/profiles/default",
            Node("symlink", 0o777, target="default-7-link"),
            (
                "cannot put packages of Nix into the image: `/nix/var/nix/profiles/default` is there "
                "already"
            ),
        ),
    ],
)
def test_what_is_something_else_already_is_refused(
    bench: Bench, path: str, node: Node, expected: str
) -> None:
    with pytest.raises(BuildError) as caught:
        bench.install(Tree({path: node}))
    assert caught.value.message == expected


def test_a_base_may_have_a_store_path_already(bench: Bench) -> None:
    """Its files are blobs, and those of the closure are parts of a NAR."""
    path = f"nix/store/{APP}/app"
    nar = bench.store.blobs.add(b"(own)(another)")
    there = msgspec.structs.replace(bench.text("own"), mode=0o555, mtime=1)

    def in_closure(start: int, size: int) -> tuple[Tree]:
        node = Node("file", 0o555, mtime=1, size=size, digest=digest_part(nar, start, size))
        return (Tree({f"nix/store/{APP}": DIRECTORY, path: node}),)

    tree, _ = bench.install(Tree({path: there}), in_closure(1, 3))
    assert bench.read(tree, path) == "own"
    for start, size in ((6, 7), (6, 3)):
        with pytest.raises(BuildError, match="is not as Nix has it"):
            bench.install(Tree({path: there}), in_closure(start, size))


def test_nix_inside_gets_a_database_and_the_profile_of_root(bench: Bench) -> None:
    registered = (StorePath(name=APP, nar_hash=FILE.digest or "", nar_size=1),)
    image = Tree({"root": Node("dir", 0o700), "nix/var/nix/db/big-lock": FILE})
    tree, _ = bench.install(image, registered=registered)
    assert tree.dump()["/root/.nix-profile"] == "symlink /nix/var/nix/profiles/default"
    assert tree.dump()["/nix/var/nix/gcroots/profiles"] == "symlink /nix/var/nix/profiles"
    assert bench.read(tree, "nix/var/nix/db/schema") == "10"
    assert "nix/var/nix/db/big-lock" not in tree
    with pytest.raises(BuildError) as caught:
        bench.install(tree, registered=registered, base=tree)
    assert caught.value.message == (
        "cannot register packages of Nix in the image: its base has `/nix/var/nix/db/db.sqlite`"
    )


def test_a_store_to_add_to_has_a_database_before_anything_is_in_it(bench: Bench) -> None:
    tree, _ = bench.install(Tree(), trees=(), packages=(), registered=())
    (profile,) = {path.split("/")[2] for path in tree if path.endswith("-profile")}
    digest = tree["nix/var/nix/db/db.sqlite"].digest
    assert digest is not None
    connection = sqlite3.connect(bench.store.blobs.path(digest))
    assert connection.execute("SELECT path FROM ValidPaths").fetchall() == [
        (f"/nix/store/{profile}",)
    ]


def test_sessions_find_the_programs_where_there_are_sessions(bench: Bench) -> None:
    systemd = {"usr/lib/systemd/systemd": FILE, "etc/profile.d": Node("dir", 0o755)}
    tree, _ = bench.install(Tree(systemd))
    assert bench.read(tree, "etc/environment.d/60-osloom-nix.conf") == (
        "PATH=/usr/local/bin:/nix/var/nix/profiles/default/bin:/usr/bin:/bin\n"
    )
    own = bench.text("of the definition\n")
    tree, _ = bench.install(Tree({**systemd, "etc/profile.d/osloom-nix.sh": own}))
    assert bench.read(tree, "etc/profile.d/osloom-nix.sh") == "of the definition\n"


def test_certificates_are_found_where_the_image_has_no_others(bench: Bench) -> None:
    trees = closure(APP, "bin/app"), closure(CERTIFICATES, "etc/ssl/certs/ca-bundle.crt")
    tree, derived = bench.install(Tree(), trees)
    assert tree.dump()["/etc/ssl/certs/ca-certificates.crt"] == (
        f"symlink /nix/store/{CERTIFICATES}/etc/ssl/certs/ca-bundle.crt"
    )
    assert derived.environment == {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    own = Tree({"etc/ssl/certs/ca-certificates.crt": bench.text("others\n")})
    tree, derived = bench.install(own, trees)
    assert bench.read(tree, "etc/ssl/certs/ca-certificates.crt") == "others\n"
    assert derived.environment == {}


@pytest.mark.parametrize(
    ("programs", "entrypoint", "notes"),
    [
        (("bin/app", "bin/other"), ("/bin/app",), ()),
        (("bin/other", "bin/.other-wrapped", "bin/more/x"), ("/bin/other",), ()),
        (
            ("bin/one", "bin/two"),
            (),
            ("no program of `app` is plainly the one to run (it has one, two): say `entrypoint`",),
        ),
        (
            ("share/data",),
            (),
            ("no program of `app` is plainly the one to run (it has none): say `entrypoint`",),
        ),
    ],
)
def test_an_application_runs_the_program_of_the_first_package(
    bench: Bench, programs: tuple[str, ...], entrypoint: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    image = Tree({"usr/bin": Node("dir", 0o755), "bin": Node("symlink", 0o777, target="usr/bin")})
    trees = (closure(APP, *programs),)
    tree, derived = bench.install(image, trees, application=True, entrypoint=True)
    assert derived.title == "app"
    assert derived.entrypoint == entrypoint
    assert derived.notes == notes
    names = sorted(path.removeprefix("usr/bin/") for path in tree if path.startswith("usr/bin/"))
    wanted = [path.removeprefix("bin/") for path in programs if path.count("/") == 1]
    assert names == [name for name in wanted if name[0] != "." and name != "share/data"]
