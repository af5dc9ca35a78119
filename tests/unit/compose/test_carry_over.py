"""Services as containers start them. The units have the shapes of Debian's."""

from collections.abc import Mapping

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.compose.application.units.search import (
    Found,
    find_drop_ins,
    find_sockets,
    find_unit,
)
from osloom.compose.application.units.service import Directory, Service, carry_over
from osloom.model.tree import Node, Tree

ROOT = (
    "the unit names no user, so the program starts as root: say `user` when it need not "
    "(many change to their own user by themselves)"
)
NO_PORT = "the unit states no port: say `ports` when the program listens"


def service(
    text: str,
    *drop_ins: str,
    name: str = "web",
    sockets: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Service:
    return carry_over(
        text,
        name=name,
        drop_ins=drop_ins,
        sockets=sockets or {},
        environment=environment or {},
        read=(files or {}).get,
    )


def test_a_forking_server_stays_in_the_foreground_and_stops_gracefully() -> None:
    found = service("""
[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStartPre=/usr/sbin/nginx -t -q -g 'daemon on; master_process on;'
ExecStart=/usr/sbin/nginx -g 'daemon on; master_process on;'
ExecReload=/usr/sbin/nginx -s reload
ExecStop=-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile /run/nginx.pid
TimeoutStopSec=5
KillMode=mixed
""")
    assert found == Service(
        entrypoint=("/usr/sbin/nginx", "-g", "daemon off; master_process on;"),
        stop_signal="SIGQUIT",
        notes=(
            ROOT,
            NO_PORT,
            "to reload the service, run `/usr/sbin/nginx -s reload` in its container with `exec`",
            "restarting and limits are the container engine's: pass `--stop-timeout=5`",
        ),
    )


def test_users_directories_capabilities_and_confinement() -> None:
    found = service(
        """
[Service]
EnvironmentFile=/etc/default/knot
Type=notify
User=knot
Group=knot
SupplementaryGroups=tls ssl-cert
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETPCAP
AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN
ExecStart=/usr/sbin/knotd -m "$SIZE" $ARGS -c ${CONF}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-abort
LimitNOFILE=1048576
Environment="SIZE=512" CONF=
RuntimeDirectory=knot
StateDirectory=knot knot/keys
StateDirectoryMode=0750
WorkingDirectory=-/var/lib/%p
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
KillSignal=INT
""",
        name="knot",
        files={"/etc/default/knot": "ARGS='-v \"a b\"'\n"},
    )
    assert found == Service(
        entrypoint=("/usr/sbin/knotd", "-m", "512", "-v", "a b", "-c", ""),
        user="knot",
        group="knot",
        supplementary_groups=("tls", "ssl-cert"),
        environment={
            "SIZE": "512",
            "CONF": "",
            "STATE_DIRECTORY": "/var/lib/knot:/var/lib/knot/keys",
            "RUNTIME_DIRECTORY": "/run/knot",
            "ARGS": '-v "a b"',
        },
        working_directory="/var/lib/knot",
        stop_signal="SIGINT",
        directories=(
            Directory(path="/var/lib/knot", mode=0o750, kind="state"),
            Directory(path="/var/lib/knot/keys", mode=0o750, kind="state"),
            Directory(path="/run/knot", mode=0o755, kind="runtime"),
        ),
        notes=(
            NO_PORT,
            "to reload the service, send its container the signal: `kill --signal=HUP`",
            (
                "`knot` may bind to ports below 1024 (AmbientCapabilities=): an image cannot allow "
                "that, pass `--sysctl=net.ipv4.ip_unprivileged_port_start=0` where the engine does "
                "not do so itself, or choose a port above"
            ),
            "the unit gives `knot` capabilities, an image cannot: pass `--cap-add=NET_ADMIN`",
            (
                "restarting and limits are the container engine's: "
                "pass `--restart=on-failure --ulimit=nofile=1048576`"
            ),
            (
                "the unit confines the service: pass `--security-opt=no-new-privileges --read-only "
                "--cap-drop=all --cap-add=NET_BIND_SERVICE --cap-add=SETPCAP` to the container "
                "engine; the engine's own confinement stands for `ProtectSystem=` and 1 more"
            ),
        ),
    )
    assert found.volumes == ("/var/lib/knot", "/var/lib/knot/keys")


def test_directories_that_commands_make_and_commands_that_nobody_runs() -> None:
    found = service("""
[Service]
User=mosquitto
ExecStart=/usr/sbin/mosquitto
ExecStartPre=/bin/mkdir -m 740 -p /var/log/mosquitto
ExecStartPre=/bin/chown mosquitto:adm /var/log/mosquitto
ExecStartPre=/usr/bin/install -d -o mosquitto -m0700 /run/mosquitto
ExecStartPre=-/usr/libexec/helper unpack
ExecStop=/usr/bin/mosquitto-stop $MAINPID
""")
    assert found.directories == (
        Directory(
            path="/var/log/mosquitto", mode=0o740, kind="logs", user="mosquitto", group="adm"
        ),
        Directory(path="/run/mosquitto", mode=0o700, kind="runtime", user="mosquitto"),
    )
    assert found.notes == (
        NO_PORT,
        (
            "`/usr/libexec/helper unpack` does not run before it starts: "
            "do in the image, or in the entrypoint, what of it is needed"
        ),
        (
            "`/usr/bin/mosquitto-stop '$MAINPID'` does not run to stop it: "
            "do in the image, or in the entrypoint, what of it is needed"
        ),
    )


def test_sockets_give_ports() -> None:
    found = service(
        "[Service]\nUser=a\nExecStart=/bin/a\nStandardInput=null\n[Unit]\nRequires=ssh.socket b.service",
        name="ssh.service",
        sockets={
            "ssh.socket": "[Socket]\nListenStream=\nListenStream=0.0.0.0:22\nListenStream=[::]:22\n",
            "tls.socket": "[Socket]\nService=ssh.service\nListenStream=443\nListenStream=/run/a\n",
            "other.socket": "[Socket]\nListenStream=99\n",
        },
    )
    assert found.ports == (22, 443)
    assert found.notes == (
        (
            "the service can get its sockets from ssh.socket, which no container has: "
            "see that the program listens itself"
        ),
        (
            "the service can get its sockets from tls.socket, which no container has: "
            "see that the program listens itself"
        ),
        "the service requires b.service: run that in a container of its own, or do without",
    )


@pytest.mark.parametrize("value", ["²", "9" * 5000, "65536", "0", "1.2.3.4:²"])
def test_what_is_no_port_is_none(value: str) -> None:
    found = service(
        "[Service]\nUser=a\nExecStart=/bin/a\n",
        name="a.service",
        sockets={"a.socket": f"[Socket]\nListenStream={value}\n"},
    )
    assert found.ports == ()


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("0750", 0o750),
        ("2775", 0o2775),
        ("", 0o755),
        ("9", 0o755),
        ("rwx", 0o755),
        ("77777", 0o755),
    ],
)
def test_a_directory_with_no_usable_mode_has_the_usual_one(value: str, mode: int) -> None:
    found = service(
        f"[Service]\nUser=a\nExecStart=/bin/a\nStateDirectory=a\nStateDirectoryMode={value}\n"
    )
    assert [one.mode for one in found.directories] == [mode]


def test_a_drop_in_replaces_the_command_and_a_dynamic_user_is_named_as_the_service() -> None:
    found = service(
        "[Service]\nDynamicUser=yes\nExecStart=/bin/a\n",
        "[Service]\nExecStart=\nExecStart=:/bin/b $X $$ ${Y}\n",
        name="grafana",
    )
    assert (found.entrypoint, found.user) == (("/bin/b", "$X", "$$", "${Y}"), "grafana")


@pytest.mark.parametrize(
    ("line", "entrypoint"),
    [
        ("ExecStart=/bin/a $$x a${B}c $B '$B' $NONE ${NONE}", ("/bin/a", "$x", "a1 2c", "1", "2", "1", "2", "")),
        ("ExecStart=-/bin/a \\; b", ("/bin/a", ";", "b")),
        ("ExecStart=@/bin/a a b", ("/bin/a", "b")),
        ("Type=oneshot\nExecStart=/bin/a\nExecStart=-/bin/b 'c d'\nExecStart=/bin/e", ("/bin/sh", "-c", "/bin/a && { /bin/b 'c d' || true; } && /bin/e")),
        ("Type=oneshot\nExecStart=/bin/a ; /bin/b", ("/bin/sh", "-c", "/bin/a && /bin/b")),
        ("Type=forking\nExecStart=/usr/sbin/apachectl start", ("/bin/sh", "-c", ': "${APACHE_CONFDIR:=/etc/apache2}"; . "$APACHE_CONFDIR/envvars"; mkdir -p /run/lock "$APACHE_RUN_DIR/socks" "$APACHE_LOCK_DIR"; chown "$APACHE_RUN_USER" "$APACHE_RUN_DIR/socks" "$APACHE_LOCK_DIR"; exec /usr/sbin/apache2 -d "$APACHE_CONFDIR" -D FOREGROUND')),
        ("Type=forking\nExecStart=/usr/sbin/ngircd -f /x", ("/usr/sbin/ngircd", "-f", "/x", "-n")),
        ("Type=forking\nExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect %i start", ("/usr/bin/pg_ctlcluster", "--foreground", "17-main", "start")),
    ],
)  # fmt: skip
def test_command_lines(line: str, entrypoint: tuple[str, ...]) -> None:
    found = service(f"[Service]\nEnvironment='B=1 2'\n{line}\n", name="a@17-main")
    assert found.entrypoint == entrypoint


@pytest.mark.parametrize(
    ("prefix", "user"), [("+", None), ("!", None), ("!!", "_chrony"), ("-", "_chrony")]
)
def test_a_prefix_can_set_the_user_aside(prefix: str, user: str | None) -> None:
    found = service(f"[Service]\nUser=_chrony\nExecStart={prefix}/usr/sbin/chronyd -n\n")
    assert found.user == user
    assert ("as root although" in found.notes[0]) == (user is None)


@pytest.mark.parametrize(
    ("stop", "signal"),
    [
        ("/bin/kill -s SIGINT $MAINPID", "SIGINT"),
        ("/bin/kill -WINCH $MAINPID", "SIGWINCH"),
        ("/bin/kill $MAINPID", None),
        ("/usr/sbin/apachectl graceful-stop", "SIGWINCH"),
    ],
)
def test_what_ends_the_service(stop: str, signal: str | None) -> None:
    found = service(f"[Service]\nUser=a\nExecStart=/bin/a\nExecStop={stop}\nKillSignal=SIGTERM\n")
    assert (found.stop_signal, found.notes) == (signal, (NO_PORT,))


def test_a_variable_that_only_a_machine_knows_is_not_set() -> None:
    unit = "[Service]\nUser=a\nExecStart=/usr/bin/a\nEnvironment=A=%H B=%%H C=x-%m 'D=%p e'\n"
    found = service(unit, name="a", environment={"C": "own"})
    assert found.environment == {"B": "%H", "C": "own", "D": "a e"}
    said = "`%H` in `A=%H` is only known where the service runs: say what depends on it yourself"
    assert [one for one in found.notes if "only known" in one] == [said]


def test_what_is_not_there_is_said() -> None:
    found = service("""
[Unit]
ConditionPathExists=/etc/rsyncd.conf
[Service]
User=a
Type=forking
EnvironmentFile=/etc/default/a
ExecStart=/usr/sbin/unheard-of --at %H
BindPaths=/srv
FutureSetting=1
""")
    assert found.notes == (
        "the environment file /etc/default/a is not in the image: add it, or say `env`",
        "`%H` in `%H` is only known where the service runs: say what depends on it yourself",
        (
            "`unheard-of` goes to the background (Type=forking) and the container would end at once: "
            "say the `entrypoint` with its option to stay in the foreground"
        ),
        NO_PORT,
        "the unit starts only where /etc/rsyncd.conf is, and the image has no such file: add it",
        "`BindPaths=/srv` is not carried over: mount them with `--volume`",
        "`FutureSetting=` of the unit is not carried over: see whether it matters",
    )


def test_a_unit_that_stands_for_others_is_no_entrypoint() -> None:
    with pytest.raises(BuildError, match=r"`web\.service`: it starts no program"):
        service("[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=on\n")


FILE = Node("file", 0o644, digest=digest_bytes(b""))
UNITS = "usr/lib/systemd/system"


def no_text(path: str) -> str:  # noqa: ARG001
    return ""


TREE = Tree(
    {
        "lib": Node("symlink", 0o777, target="usr/lib"),
        f"{UNITS}/redis-server.service": FILE,
        f"{UNITS}/redis.service": Node("symlink", 0o777, target="redis-server.service"),
        f"{UNITS}/postgresql@.service": FILE,
        f"{UNITS}/postgresql@.service.d/10-all.conf": FILE,
        f"{UNITS}/service.d/05-every.conf": FILE,
        f"{UNITS}/redis-server.socket": FILE,
        "etc/systemd/system/redis-server.service.d/20-own.conf": FILE,
        "etc/systemd/system/redis-.service.d/10-prefix.conf": FILE,
        "etc/systemd/system/gone.service": Node("symlink", 0o777, target="/dev/null"),
        "etc/init.d/old": FILE,
    }
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("redis", f"{UNITS}/redis-server.service"),
        ("redis-server.service", f"{UNITS}/redis-server.service"),
        ("postgresql@17-main", f"{UNITS}/postgresql@.service"),
    ],
)
def test_a_unit_is_found(name: str, path: str) -> None:
    assert find_unit(TREE, name, no_text) == Found(path=path)


def test_a_name_that_a_unit_gives_itself_is_an_alias() -> None:
    def read(path: str) -> str:
        own = path.endswith("postgresql@.service")
        return "[Install]\nAlias=db.service other.service\n" if own else ""

    found = find_unit(TREE, "other", read)
    assert found == Found(path=f"{UNITS}/postgresql@.service", is_alias=True)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("reddis", "cannot find the service `reddis` in the image", "did you mean `redis`?"),
        ("old", "cannot find the service `old` in the image", "there is only /etc/init.d/old: say the `entrypoint` yourself"),
        ("zzz", "cannot find the service `zzz` in the image", "add the package that has the unit, or say the `entrypoint` yourself"),
        ("postgresql@", "cannot use the service `postgresql@`: it is a template", "name one of its instances, as in `postgresql@main`"),
        ("gone", "cannot use the service `gone`: it is masked in the image", None),
    ],
)  # fmt: skip
def test_a_unit_that_is_not_there(name: str, message: str, hint: str | None) -> None:
    with pytest.raises(BuildError) as caught:
        find_unit(TREE, name, no_text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_drop_ins_come_in_the_order_of_their_names() -> None:
    assert find_drop_ins(TREE, "redis-server") == (
        f"{UNITS}/service.d/05-every.conf",
        "etc/systemd/system/redis-.service.d/10-prefix.conf",
        "etc/systemd/system/redis-server.service.d/20-own.conf",
    )
    assert find_drop_ins(TREE, "postgresql@17-main") == (
        f"{UNITS}/service.d/05-every.conf",
        f"{UNITS}/postgresql@.service.d/10-all.conf",
    )
    assert find_sockets(TREE) == {"redis-server.socket": f"{UNITS}/redis-server.socket"}
