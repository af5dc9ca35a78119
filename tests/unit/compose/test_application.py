"""An application: what it leaves out of its packages, and what it finds in them."""

import hashlib
from collections.abc import Mapping

import msgspec
import pytest

from osloom.base.digest import Digest
from osloom.compose.application.adapt import NONROOT_ID, Settings, adapt
from osloom.compose.application.certificates import BUNDLE, DEFAULT, with_bundle
from osloom.compose.application.entrypoint import find_entrypoint
from osloom.compose.application.trim import trimmed
from osloom.engine.step import Job
from osloom.model.application import Derived
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.store import Store

PROGRAM = Node("file", 0o755, size=1, digest=Digest("sha256:" + "0" * 64))
TEXT = Node("file", 0o644, size=1, digest=Digest("sha256:" + "1" * 64))


def tree(**nodes: Node) -> Tree:
    return with_parents(nodes, mtime=0)


DOCUMENTED = with_parents(
    {
        "usr/bin/app": PROGRAM,
        "usr/share/doc/app/copyright": TEXT,
        "usr/share/doc/app/examples/one.gz": TEXT,
        "usr/share/doc/other": Node("symlink", 0o777, target="app"),
        "usr/share/man/man1/app.1.gz": TEXT,
        "usr/share/locale/de/LC_MESSAGES/app.mo": TEXT,
        "usr/share/common-licenses/GPL-3": TEXT,
        "usr/share/lintian/overrides/app": TEXT,
        "usr/share/bash-completion/completions/app": TEXT,
    },
    mtime=0,
)


def test_documentation_goes_and_licences_stay() -> None:
    kept = trimmed(DOCUMENTED, ())
    assert [path for path, node in kept.items() if node.kind != "dir"] == [
        "usr/bin/app",
        "usr/share/common-licenses/GPL-3",
        "usr/share/doc/app/copyright",
    ]
    assert "usr/share/doc/app/examples" not in kept
    assert "usr/share/man/man1" not in kept


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("doc", "usr/share/doc/app/examples/one.gz"),
        ("man", "usr/share/man/man1/app.1.gz"),
        ("locale", "usr/share/locale/de/LC_MESSAGES/app.mo"),
        ("completions", "usr/share/bash-completion/completions/app"),
    ],
)
def test_each_kind_can_be_had_back(kind: str, path: str) -> None:
    assert path in trimmed(DOCUMENTED, (kind,))
    assert "usr/share/lintian/overrides/app" not in trimmed(DOCUMENTED, (kind,))


@pytest.mark.parametrize(
    ("name", "paths", "found"),
    [
        ("redis-server", {"usr/bin/redis-server": PROGRAM}, "/usr/bin/redis-server"),
        (
            "python3-minimal",
            {"usr/bin/python3": PROGRAM, "usr/bin/py3clean": PROGRAM},
            "/usr/bin/python3",
        ),
        ("nginx", {"usr/sbin/nginx": PROGRAM, "usr/bin/x": PROGRAM}, "/usr/sbin/nginx"),
        ("default-mta", {"usr/sbin/only": PROGRAM, "usr/share/x": TEXT}, "/usr/sbin/only"),
        ("two", {"usr/bin/a": PROGRAM, "usr/bin/b": PROGRAM}, None),
        ("text", {"usr/bin/text": TEXT}, None),
        ("dangling", {"usr/bin/dangling": Node("symlink", 0o777, target="gone")}, None),
        (
            "linked",
            {"usr/bin/linked": Node("symlink", 0o777, target="real"), "usr/bin/real": PROGRAM},
            "/usr/bin/linked",
        ),
    ],
)
def test_the_program_of_a_package(name: str, paths: dict[str, Node], found: str | None) -> None:
    shipped = with_parents(paths, mtime=0)
    assert find_entrypoint(name, shipped, shipped) == found


def test_a_program_in_bin_is_found_where_the_image_has_it() -> None:
    shipped = with_parents({"bin/tool": PROGRAM}, mtime=0)
    image = with_parents(
        {"bin": Node("symlink", 0o777, target="usr/bin"), "usr/bin/tool": PROGRAM}, mtime=0
    )
    assert find_entrypoint("toolbox", shipped, image) == "/usr/bin/tool"


def test_the_bundle_holds_the_certificates_of_packages_and_of_the_definition() -> None:
    certificates = {
        "usr/share/ca-certificates/mozilla/B.crt": b"B",
        "usr/share/ca-certificates/mozilla/A.crt": b"A\n",
        "usr/local/share/ca-certificates/mine.crt": b"mine\n",
        "usr/share/ca-certificates/README": b"no",
    }
    blobs = {
        Digest(f"sha256:{hashlib.sha256(one).hexdigest()}"): one for one in certificates.values()
    }

    def add(data: bytes) -> Node:
        digest = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
        blobs[digest] = data
        return Node("file", 0o644, size=len(data), digest=digest)

    image = with_parents({path: add(data) for path, data in certificates.items()}, mtime=0)
    made = with_bundle(image, blobs.__getitem__, add)
    digest = made[BUNDLE].digest
    assert digest is not None
    assert blobs[digest] == b"mine\nA\nB\n"
    assert made.resolve(DEFAULT) == BUNDLE
    assert with_bundle(made, blobs.__getitem__, add) is made
    bare = Tree({"etc": Node("dir", 0o755)})
    assert with_bundle(bare, blobs.__getitem__, add) is bare


def adapted(
    store: Store,
    settings: Settings,
    files: Mapping[str, str] | None = None,
    *,
    postinst: str = "",
) -> tuple[Tree, Derived]:
    control = b"Package: app\nVersion: 1\nDescription: serves things\n and more\n"
    written = {
        path: Node("file", 0o644, size=len(text), digest=store.blobs.add(text.encode()))
        for path, text in (files or {}).items()
    }
    program = msgspec.structs.replace(PROGRAM, digest=store.blobs.add(b"\x7fELF"))
    main = store.add_tree(with_parents({"usr/bin/app": program, **written}, mtime=0))
    texts = {"control": control, "postinst": postinst.encode()}
    controls = store.add_tree(
        Tree(
            {
                name: Node("file", 0o644, size=len(data), digest=store.blobs.add(data))
                for name, data in texts.items()
            }
        )
    )
    job = Job(
        store=store,
        parameters={"settings": msgspec.to_builtins(settings)},
        inputs={"tree": main, "main": (main, controls), "controls": (controls,)},
        work=store.root,
    )
    made = adapt.run(job)
    derived = msgspec.json.decode(store.blobs.read(made["derived"]), type=Derived)
    return store.load_tree(made["tree"]), derived


def text(store: Store, image: Tree, path: str) -> str:
    digest = image[path].digest
    assert digest is not None
    return store.blobs.read(digest).decode()


def test_an_application_has_a_user_and_knows_its_program(store: Store) -> None:
    image, derived = adapted(store, Settings(epoch=0, main="app", home="/home/app"))
    assert derived == Derived(
        entrypoint=("/usr/bin/app",),
        user=f"{NONROOT_ID}:{NONROOT_ID}",
        title="app",
        description="serves things",
    )
    assert text(store, image, "etc/passwd").splitlines() == [
        "root:x:0:0:root:/root:/bin/sh",
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin",
        "nonroot:x:65532:65532::/home/app:/usr/sbin/nologin",
    ]
    assert "nonroot:x:65532:" in text(store, image, "etc/group")
    assert "nonroot:!*:" in text(store, image, "etc/shadow")
    assert "hosts: files dns" in text(store, image, "etc/nsswitch.conf")
    home = image["home/app"]
    assert (home.kind, home.uid, home.gid) == ("dir", NONROOT_ID, NONROOT_ID)


def test_what_the_definition_says_is_not_looked_for(store: Store) -> None:
    settings = Settings(epoch=0, main="app", entrypoint=False, user="root")
    image, derived = adapted(store, settings)
    assert derived.entrypoint == ()
    assert "etc/passwd" in image


UNIT = """
[Service]
ExecStart=/usr/bin/app --foreground
User=appuser
Environment=MODE=service
StateDirectory=app
KillSignal=SIGINT
"""


def test_a_service_says_how_its_program_runs(store: Store) -> None:
    files = {
        "usr/lib/systemd/system/app.service": UNIT,
        "usr/lib/sysusers.d/app.conf": "u appuser 123 - /var/lib/app\ng plain 77\nm appuser plain\n",
        "usr/lib/tmpfiles.d/app.conf": "d /run/app 0750 appuser www-data\nd /run/gone 0750 who who\n",
    }
    settings = Settings(epoch=86400, main="app", service="app", user="www-data")
    image, derived = adapted(store, settings, files)
    assert derived.entrypoint == ("/usr/bin/app", "--foreground")
    assert (derived.environment["MODE"], derived.stop_signal) == ("service", "SIGINT")
    assert derived.volumes == ("/var/lib/app",)
    # The definition names another user than the unit: the directories are that user's.
    assert derived.user == "33:33"
    state = image["var/lib/app"]
    assert (state.mode, state.uid, state.gid) == (0o755, 33, 33)
    passwd = text(store, image, "etc/passwd").splitlines()
    assert "appuser:x:123:123::/var/lib/app:/usr/sbin/nologin" in passwd
    assert "www-data:x:33:33::/nonexistent:/usr/sbin/nologin" in passwd
    assert "plain:x:77:appuser" in text(store, image, "etc/group")
    assert "appuser:!*:1:" in text(store, image, "etc/shadow")
    assert "run/gone" not in image
    # Every Debian system has them, and settings of programs name them.
    assert "adm:x:4:" in text(store, image, "etc/group")


def test_what_is_copied_is_there_and_what_each_machine_makes_is_said(store: Store) -> None:
    files = {
        "usr/lib/tmpfiles.d/app.conf": "C /etc/app 0700 www-data - - /usr/share/app\n"
        "C /etc/there - - - - /usr/share/app/a\nC /etc/none - - - - /usr/share/none\n"
        "C /etc/secret - - - - /proc/sys/kernel/random/uuid\n"
        "C /etc/own - - - - /proc/sys/kernel/random/uuid\n",
        "usr/share/app/a": "copied",
        "etc/there": "there",
    }
    settings = Settings(epoch=0, main="app", paths=("/etc/own",), named=("www-data",))
    image, derived = adapted(store, settings, files)
    said = "/etc/secret would be made on each machine, of /proc/sys/kernel/random/uuid: mount one "
    assert derived.notes == (said + "into the container",)
    top, below = image["etc/app"], image["etc/app/a"]
    assert (top.kind, top.mode, top.uid) == ("dir", 0o700, 33)
    assert (below.mode, below.uid, text(store, image, "etc/app/a")) == (0o644, 33, "copied")
    assert text(store, image, "etc/there") == "there"
    assert not {"etc/none", "etc/secret", "etc/own"} & set(image)


def test_the_home_of_a_script_is_that_of_the_user_whom_sysusers_makes(store: Store) -> None:
    sysusers = {"usr/lib/sysusers.d/app.conf": "u app - - -\nu own - - /srv/own\n"}
    postinst = "#!/bin/sh\nadduser --system --home /srv/app app\nadduser --system --home /x own\n"
    image, _ = adapted(store, Settings(epoch=0, main="app"), sysusers, postinst=postinst)
    homes = {
        row.split(":")[0]: row.split(":")[5] for row in text(store, image, "etc/passwd").split()
    }
    assert (homes["app"], homes["own"]) == ("/srv/app", "/srv/own")


def test_what_a_script_would_run_in_vain_is_said(store: Store) -> None:
    unit = "[Service]\nUser=app\nExecStart=/bin/sh -c 'mkdir /run/app; exec app'\n"
    files = {"usr/lib/systemd/system/app.service": unit}
    said = "the entrypoint is shell text that may run `mkdir`, not in the image: add `coreutils`"
    settings = Settings(epoch=0, main="app", service="app")
    assert said in adapted(store, settings, files)[1].notes
    own = msgspec.structs.replace(settings, entrypoint=False)
    assert said not in adapted(store, own, files)[1].notes


def test_the_user_of_the_unit_is_made_when_nobody_declares_it(store: Store) -> None:
    files = {"usr/lib/systemd/system/app.service": UNIT}
    image, derived = adapted(store, Settings(epoch=0, main="app", service="app"), files)
    assert derived.user == "999:999"
    assert "appuser:x:999:999:" in text(store, image, "etc/passwd")
    assert image["var/lib/app"].uid == 999
