"""What of a read-only system is kept elsewhere, and how it gets there."""

from osloom.base.digest import digest_bytes
from osloom.compose.appliance.state import with_state
from osloom.model.tree import Node, Tree

EPOCH = 1_700_000_000


def file(mode: int = 0o644, uid: int = 0, gid: int = 0) -> Node:
    return Node("file", mode, uid=uid, gid=gid, size=1, digest=digest_bytes(b"x"))


def directory(mode: int = 0o755, uid: int = 0, gid: int = 0) -> Node:
    return Node("dir", mode, uid=uid, gid=gid)


def test_var_is_empty_and_its_content_is_brought_at_the_boot() -> None:
    tree = Tree(
        {
            "var": directory(),
            "var/lib": directory(),
            "var/lib/app": directory(0o750, 10, 20),
            "var/lib/app/a file": file(0o600, 10, 20),
            "var/lib/app/100%": file(),
            "var/lib/app/current": Node("symlink", 0o777, target="100%"),
            "var/lib/app/same": Node("hardlink", 0o644, target="var/lib/app/100%"),
        }
    )
    made, lines = with_state(tree, epoch=EPOCH)
    assert [path for path in made if path.startswith("var")] == ["var"]
    factory = "usr/share/factory/var/lib/app"
    assert made[f"{factory}/a file"].mode == 0o600
    assert made[f"{factory}/same"].target == f"{factory}/100%"
    assert [line for line in lines.splitlines() if "/app" in line] == [
        "d /var/lib/app 0750 10 20 -",
        'C "/var/lib/app/100%%" 0644 0 0 - "/usr/share/factory/var/lib/app/100%%"',
        'C "/var/lib/app/a file" 0600 10 20 - "/usr/share/factory/var/lib/app/a file"',
        "L /var/lib/app/current - - - - 100%%",
        "C /var/lib/app/same 0644 0 0 - /usr/share/factory/var/lib/app/same",
    ]


def test_homes_are_links_to_where_they_are_kept() -> None:
    tree = Tree(
        {"home": directory(), "home/me": directory(0o700, 1000, 1000), "root": directory(0o700)}
    )
    made, lines = with_state(tree, epoch=EPOCH)
    links = {path: made[path].target for path in ("home", "root", "srv")}
    assert links == {"home": "var/home", "root": "var/roothome", "srv": "var/srv"}
    assert "d /var/home/me 0700 1000 1000 -" in lines.splitlines()
    assert "d /var/roothome 0700 0 0 -" in lines.splitlines()


def test_the_packages_database_stays_with_the_version() -> None:
    tree = Tree({"var/lib/dpkg": directory(), "var/lib/dpkg/status": file()})
    made, lines = with_state(tree, epoch=EPOCH)
    assert "usr/lib/sysimage/dpkg/status" in made
    assert "L+ /var/lib/dpkg - - - - /usr/lib/sysimage/dpkg" in lines.splitlines()


def test_caches_begin_empty() -> None:
    tree = Tree({"var/cache/apt": directory(), "var/cache/apt/x": file(), "var/log/y": file()})
    made, lines = with_state(tree, epoch=EPOCH)
    assert not [path for path in made if path.endswith(("/x", "/y"))]
    assert "d /var/cache/apt 0755 0 0 -" in lines.splitlines()
