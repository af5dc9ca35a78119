"""Units, accounts and scripts of real packages: what comes out of them."""

import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from integration.conftest import Workshop
from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.compose.application.sysusers import sysusers
from osloom.compose.application.tmpfiles import tmpfiles
from osloom.compose.application.units.search import find_drop_ins, find_sockets, find_unit
from osloom.compose.application.units.service import Service, carry_over
from osloom.model.tree import Node, Tree

_PACKAGES = (
    *("nginx", "redis-server", "postgresql-common", "mosquitto", "haproxy", "memcached", "apache2"),
    *("openssh-server", "chrony", "knot", "nats-server", "varnish", "prometheus-node-exporter"),
)


def _is_setting(path: str) -> bool:
    return path.startswith(
        ("etc/", "usr/lib/systemd/", "usr/lib/sysusers.d/", "usr/lib/tmpfiles.d/")
    )


class Servers:
    """The image's tree and its small texts."""

    def __init__(self, archive: Path) -> None:
        nodes, self._texts = {}, {}
        with tarfile.open(archive) as tar:
            for member in tar:
                path = member.name.removeprefix("./").strip("/")
                if member.issym():
                    nodes[path] = Node("symlink", 0o777, target=member.linkname)
                elif member.isdir():
                    nodes[path] = Node("dir", member.mode)
                elif member.isreg():
                    nodes[path] = Node("file", member.mode, digest=digest_bytes(b""))
                    content = tar.extractfile(member) if _is_setting(path) else None
                    if content is not None:
                        self._texts[path] = content.read().decode(errors="surrogateescape")
        self.tree = Tree(nodes)

    def read(self, path: str) -> str | None:
        return self._texts.get(self.tree.resolve(path))

    def text(self, path: str) -> str:
        return self._texts[path]

    def service(self, name: str) -> Service:
        return carry_over(
            self.text(find_unit(self.tree, name, self.text).path),
            name=name,
            drop_ins=[self.text(path) for path in find_drop_ins(self.tree, name)],
            sockets={one: self.text(path) for one, path in find_sockets(self.tree).items()},
            read=self.read,
        )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Servers:
    workshop = Workshop(tmp_path_factory.mktemp("servers"), store)
    listed = ", ".join(f'"{name}"' for name in _PACKAGES)
    (workshop.directory / "osloom.toml").write_text(
        f'[image.servers]\npackages = [{listed}]\nconfigure = "none"\noutputs = ["tar"]\n'
    )
    for command in ("lock", "build"):
        workshop(command).check()
    return Servers(workshop.directory / "dist/servers/servers.tar")


@pytest.mark.parametrize(
    ("name", "program", "user", "signal"),
    [
        ("nginx", "/usr/sbin/nginx -g daemon off; master_process on;", None, "SIGQUIT"),
        ("redis-server", "/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd --daemonize no", "redis", None),
        ("postgresql@17-main", "/usr/bin/pg_ctlcluster --foreground 17-main start", None, "SIGINT"),
        ("mosquitto", "/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf", None, None),
        ("haproxy", "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock", None, None),
        ("chrony", "/usr/sbin/chronyd -F 1 -d", None, None),
        ("knot", "/usr/sbin/knotd -m 512", "knot", None),
        ("nats-server", "/usr/sbin/nats-server -c /etc/nats-server.conf", "nats", "SIGINT"),
        ("ssh", "/usr/sbin/sshd -D", None, None),
        ("prometheus-node-exporter", "/usr/bin/prometheus-node-exporter", "prometheus", None),
    ],
)  # fmt: skip
def test_what_starts_and_stops(
    servers: Servers, name: str, program: str, user: str | None, signal: str | None
) -> None:
    service = servers.service(name)
    assert (" ".join(service.entrypoint), service.user, service.stop_signal) == (
        program,
        user,
        signal,
    )
    # Each program is there, and is one.
    node = servers.tree[servers.tree.resolve(service.entrypoint[0])]
    assert node.kind == "file"
    assert node.mode & 0o111


def test_directories_ports_and_volumes(servers: Servers) -> None:
    assert servers.service("ssh").ports == (22,)
    chrony = servers.service("chrony")
    assert chrony.volumes == ("/var/lib/chrony", "/var/log/chrony")
    assert {one.path: one.mode for one in chrony.directories}["/run/chrony"] == 0o700
    (logs, run) = servers.service("mosquitto").directories
    assert (logs.path, logs.mode, logs.user) == ("/var/log/mosquitto", 0o740, "mosquitto")
    assert run.path == "/run/mosquitto"


def test_every_unit_of_the_image_is_read(servers: Servers) -> None:
    """None of them is a bug; those that start nothing say so."""
    read = 0
    for path in servers.tree:
        if path.startswith("usr/lib/systemd/system/") and path.endswith(".service"):
            name = path.rpartition("/")[2].replace("@.", "@one.")
            with suppress(BuildError):
                read += bool(servers.service(name).entrypoint)
    assert read > 10


def test_declared_accounts_and_directories(servers: Servers) -> None:
    users = {one.name: one for one in sysusers(servers.text("usr/lib/sysusers.d/varnish2.conf"))}
    assert users["vcache"].group == "varnish"
    (run,) = tmpfiles(servers.text("usr/lib/tmpfiles.d/haproxy.conf"))
    assert (run.path, run.mode, run.user) == ("/run/haproxy", 0o2775, "haproxy")
