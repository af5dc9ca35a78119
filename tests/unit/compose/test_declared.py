"""What packages declare for sysusers.d(5) and tmpfiles.d(5)."""

from osloom.compose.application import sysusers, tmpfiles


def test_accounts() -> None:
    text = """# comment
u sshd -:nogroup "sshd user" /run/sshd
u! systemd-network - "systemd Network Management"
u root 0 - /root /bin/bash
u games 5:60 - /usr/games /usr/sbin/nologin
u web /srv/web
g crontab - -
m web ssl-cert
r - 500-900
u bad%H -
z nonsense
"""
    declared = sysusers.Declared
    assert sysusers.sysusers(text) == (
        declared(kind="user", name="sshd", group="nogroup", comment="sshd user", home="/run/sshd"),
        declared(
            kind="user", name="systemd-network", locked=True, comment="systemd Network Management"
        ),
        declared(kind="user", name="root", number=0, home="/root", shell="/bin/bash"),
        declared(
            kind="user", name="games", number=5, group="60", home="/usr/games",
            shell="/usr/sbin/nologin",
        ),
        declared(kind="user", name="web", owner_of="/srv/web"),
        declared(kind="group", name="crontab"),
        declared(kind="member", name="web", group="ssl-cert"),
        declared(kind="range", name="500-900"),
    )  # fmt: skip


def test_what_has_to_be_there() -> None:
    text = """
d /run/haproxy 2775 haproxy haproxy -
d /var/lib/varnish/ 0755 varnish varnish
q /var/tmp 1777 root root 30d
D %t/cups 755 :lp :lp
f /var/lib/varnish/CACHEDIR.TAG - - - - Signature: "8a"\\n
f+ /etc/empty 0600
L /var/run - - - - ../run
L+ /etc/mtab - - - - ../proc/self/mounts
L /etc/nsswitch.conf
d "/srv/a b" -
r! /forcefsck
d! /boot-only
x /tmp/sshauth.*
C /etc/secret 600 - - - /proc/sys/kernel/random/uuid
C /etc/issue
Z /run/log/journal/%m ~2750 root systemd-journal - -
d relative
"""
    declared = tmpfiles.Declared
    assert tmpfiles.tmpfiles(text) == (
        declared(kind="dir", path="/run/haproxy", mode=0o2775, user="haproxy", group="haproxy"),
        declared(kind="dir", path="/var/lib/varnish", mode=0o755, user="varnish", group="varnish"),
        declared(kind="dir", path="/var/tmp", mode=0o1777),
        declared(kind="dir", path="/run/cups", mode=0o755, user="lp", group="lp"),
        declared(
            kind="file", path="/var/lib/varnish/CACHEDIR.TAG", content='Signature: "8a"\n'
        ),
        declared(kind="file", path="/etc/empty", mode=0o600, replace=True),
        declared(kind="symlink", path="/var/run", content="../run"),
        declared(kind="symlink", path="/etc/mtab", replace=True, content="../proc/self/mounts"),
        declared(
            kind="symlink", path="/etc/nsswitch.conf",
            content="/usr/share/factory/etc/nsswitch.conf",
        ),
        declared(kind="dir", path="/srv/a b"),
        declared(
            kind="copy", path="/etc/secret", mode=0o600, content="/proc/sys/kernel/random/uuid"
        ),
        declared(kind="copy", path="/etc/issue", content="/usr/share/factory/etc/issue"),
    )  # fmt: skip
