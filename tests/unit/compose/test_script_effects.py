"""What maintainer scripts would have done."""

import pytest

from osloom.base.digest import digest_bytes
from osloom.compose.application.scripts.changes import Change, apply_changes
from osloom.compose.application.scripts.effects import Alternative, Effects, effects
from osloom.compose.application.scripts.triggers import file_triggers
from osloom.compose.application.sysusers import Declared
from osloom.compose.application.unrun import script_notes
from osloom.model.tree import Node, Tree

START = "#!/bin/sh\nset -e\n"
GENERATED = """
# Automatically added by dh_installsystemd/13.24.2
if [ "$1" = "configure" ]; then
    deb-systemd-helper enable 'a.service' >/dev/null || true
fi
# End automatically added section
# Automatically added by dh_installalternatives/13.24.2
if [ "$1" = "configure" ]; then
    update-alternatives --install /usr/bin/php php /usr/bin/php8.4 84 \\
        --slave /usr/share/man/man1/php.1.gz php.1.gz /usr/share/man/man1/php8.4.1.gz
fi
# End automatically added section
"""


def of(text: str, *, paths: set[str] | None = None) -> Effects:
    return effects("web", {"postinst": START + text}, paths=paths)


def test_what_no_container_needs_is_not_named() -> None:
    text = """
. /usr/share/debconf/confmodule
db_get web/port
case "$1" in
    configure)
        if dpkg --compare-versions "$2" lt 1.2; then mv /etc/old /etc/new; fi
        dpkg-statoverride --list /x >/dev/null 2>&1
        echo "done" >&2
        ;;
    triggered) update-everything ;;
    *) echo "unknown" >&2; exit 1 ;;
esac
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
"""
    assert of(text + GENERATED + "exit 0\n") == Effects(
        alternatives=(
            Alternative(
                link="/usr/bin/php",
                name="php",
                path="/usr/bin/php8.4",
                priority=84,
                slaves=(
                    (
                        "/usr/share/man/man1/php.1.gz",
                        "php.1.gz",
                        "/usr/share/man/man1/php8.4.1.gz",
                    ),
                ),
            ),
        )
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rndc-confgen -a", "run `rndc-confgen -a`"),
        ("echo a=b >/etc/web.conf", "write /etc/web.conf"),
        ("a2enmod -q ssl", "turn on Apache modules"),
        ('ln -s "$(find /a)" /etc/web/enabled', "make /etc/web/enabled"),
        ("sed -i s/a/b/ /etc/web.conf", "edit /etc/web.conf"),
        ("$HOOK start", "run a program that is only known then"),
        ("dpkg-divert --rename --add /usr/bin/a", "divert /usr/bin/a"),
        ("chmod g+s /etc/web", "change the mode of /etc/web"),
        ("if [ -e /x ]; then touch /var/log/web; fi", "make /var/log/web"),
    ],
)
def test_what_only_the_script_can_do_is_named(line: str, reason: str) -> None:
    assert of(line) == Effects(reasons=(reason,))


def test_accounts() -> None:
    text = """
if ! getent group web >/dev/null; then addgroup --quiet --system web; fi
id web || adduser --system --ingroup web --home /var/lib/web --no-create-home --gecos "The web" web
adduser web ssl-cert
useradd -r -u 70 -g web -d /srv -s /bin/sh other
"""
    assert of(text) == Effects(
        users=(
            Declared(kind="group", name="web"),
            Declared(kind="user", name="web", group="web", home="/var/lib/web", comment="The web"),
            Declared(kind="member", name="web", group="ssl-cert"),
            Declared(
                kind="user", name="other", number=70, group="web", home="/srv", shell="/bin/sh"
            ),
        )
    )


def test_adduser_makes_homes() -> None:
    text = """
adduser --system --group --home /var/lib/web/ web
adduser --system --home /srv/other other
adduser --system plain
adduser --system --home /srv/no --no-create-home no
useradd -r -d /srv/none none
adduser --system --home / top
adduser --system --home there there
useradd --system --create-home -d /srv/own own
"""
    assert of(text).changes == (
        Change(kind="home", path="/var/lib/web", user="web", group="web", mode=0o755),
        Change(kind="home", path="/srv/other", user="other", group="nogroup", mode=0o755),
        Change(kind="home", path="/srv/own", user="own", group="own", mode=0o700),
    )


def test_changes_of_files() -> None:
    text = """
L=/var/log/web
if ! dpkg-statoverride --list $L >/dev/null; then chown web:adm $L; chmod 0750 $L; fi
[ -e $L/access.log ] || touch $L/access.log
dpkg-statoverride --update --add web web 640 /etc/web.conf
mkdir -p -m 700 /var/lib/web/
install -d -o web -g adm -m 2750 /var/cache/web
chown -R web /srv/web
[ -e /etc/web/on ] || ln -s ../default /etc/web/on
[ -e /etc/web/there ] || cp /usr/share/web/a /etc/web/there
ucf --three-way /usr/share/web/b /etc/web/b
"""
    assert of(text, paths={"etc/web/there"}) == Effects(
        changes=(
            Change(kind="owner", path="/var/log/web", user="web", group="adm"),
            Change(kind="owner", path="/var/log/web", mode=0o750),
            Change(kind="file", path="/var/log/web/access.log"),
            Change(kind="owner", path="/etc/web.conf", user="web", group="web", mode=0o640),
            Change(kind="dir", path="/var/lib/web", mode=0o700),
            Change(kind="dir", path="/var/cache/web", user="web", group="adm", mode=0o2750),
            Change(kind="owner", path="/srv/web", user="web", recursive=True),
            Change(kind="symlink", path="/etc/web/on", source="../default"),
            Change(kind="copy", path="/etc/web/b", source="/usr/share/web/b"),
        )
    )


def test_changes_are_made() -> None:
    file = Node("file", 0o644, digest=digest_bytes(b"a"))
    tree = Tree(
        {
            "run": Node("dir", 0o755),
            "srv": Node("dir", 0o755),
            "srv/a": file,
            "var": Node("dir", 0o755),
            "var/run": Node("symlink", 0o777, target="../run"),
        }
    )
    changes = [
        Change(kind="dir", path="/var/run/web", user="web", mode=0o750),
        Change(kind="owner", path="/srv", group="33", recursive=True),
        Change(kind="owner", path="/gone", user="web"),
        Change(kind="owner", path="/", user="web"),
        Change(kind="dir", path="/srv/..", user="web"),
        Change(kind="copy", path="/etc/web/a", source="/srv/a"),
        Change(kind="copy", path="/srv/a", source="/run"),
        Change(kind="symlink", path="/var/run", source="/elsewhere"),
        Change(kind="home", path="/srv", user="web", mode=0o700),
        Change(kind="home", path="/home/web", user="web", mode=0o700),
    ]
    changed = apply_changes(tree, changes, uid={"web": 70}.__getitem__, gid=int)
    assert changed.dump() == {
        "/etc": "dir 0755",
        "/etc/web": "dir 0755",
        "/etc/web/a": "file 0644 0:33 ca978112",
        "/home": "dir 0755",
        "/home/web": "dir 0700 70:0",
        "/run": "dir 0755",
        "/run/web": "dir 0750 70:0",
        "/srv": "dir 0755 0:33",
        "/srv/a": "file 0644 0:33 ca978112",
        "/var": "dir 0755",
        "/var/run": "symlink ../run",
    }


def test_files_that_a_trigger_would_read() -> None:
    paths = {
        "etc/ld.so.conf.d/x86_64-linux-gnu.conf",
        "etc/ld.so.conf.d/cuda.conf",
        "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders/svg.so",
        "usr/share/glib-2.0/schemas/a.xml",
        "usr/share/glib-2.0/schemas/gschemas.compiled",
    }
    assert file_triggers(paths) == (
        ("usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders", "gdk-pixbuf-query-loaders"),
        ("etc/ld.so.conf.d/cuda.conf", "ldconfig"),
    )


def test_notes_are_one_sentence_each() -> None:
    packages = {
        "web": ({"postinst": START + "chown web /srv\na2enmod x\nb"}, ""),
        "plain": ({}, "activate-noawait ldconfig\n"),
        "plugin": ({}, "activate-noawait register-plugin\n"),
        "binary": ({"preinst": "\x7fELF"}, ""),
        "ca-certificates": ({"postinst": START + "update-ca-certificates"}, ""),
    }
    mend = 'say `configure = "dpkg"` if the image needs that'
    others = (
        (
            f"the scripts of `binary` did not run: they would run its preinst, which is no plain "
            f"shell script; {mend}"
        ),
        (
            f"the scripts of `plugin` did not run: they would have the trigger register-plugin run; "
            f"{mend}"
        ),
    )
    found = {name: effects(name, *one) for name, one in packages.items()}
    assert script_notes(found, Tree()) == (
        *others,
        f"the scripts of `web` did not run: they would turn on Apache modules and run `b`; {mend}",
    )
