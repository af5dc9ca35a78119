"""What the commands of maintainer scripts do, in words; and which do no harm left undone."""

import re

from osloom.compose.application.scripts.walk import Reached, is_unknown

UNKNOWN = "run a program that is only known then"

_HARMLESS = {
    # Of particular packages.
    *("pg_upgradecluster apache2_msg ypwhich ").split(),
    # The shell's own, and what only looks or speaks.
    *(
        "set shift exit return trap umask cd exec eval unset break continue wait read "
        "hash command type which getopts pathfind ulimit echo printf cat head tail cut "
        "sort uniq tr wc grep egrep fgrep awk mawk expr test [ [[ cmp diff basename "
        "dirname readlink realpath stat ls file find id getent whoami hostname uname date "
        "env sleep sync seq ps pidof mountpoint md5sum sha256sum ischroot mktemp logger "
        "more column ss ip tty stty paste comm nproc fold fmt "
    ).split(),
    # Of what an older version left.
    *("rm rmdir unlink dpkg-maintscript-helper rm_conffile prepare_rm_conffile ").split(),
    # Of dpkg and debconf.
    *(
        "dpkg dpkg-query dpkg-architecture dpkg-trigger debconf-set-selections debconf "
        "ucfr ucfq deb-systemd-helper deb-systemd-invoke py3compile py3clean pycompile "
        "apt-config apt-get apt-cache db-version debconf-communicate dpkg-vendor "
    ).split(),
    # Of a system that runs.
    *(
        "invoke-rc.d update-rc.d service systemctl systemd-sysusers systemd-tmpfiles "
        "start-stop-daemon kill killall pkill udevadm sysctl modprobe telinit init "
        "apparmor_parser aa-status aa-enabled restorecon selinuxenabled chcon initctl "
        "update-initramfs update-menus update-grub journalctl systemd-machine-id-setup "
        "busctl dbus-send systemd-notify runit-helper depmod mount umount fuser alias su "
        "getcap pgrep dbus-uuidgen update-shells newaliases systemd-hwdb insserv loginctl "
        "mandb systemd-detect-virt systemd-analyze "
    ).split(),
    # Seen by the files they are for.
    *(
        "ldconfig glib-compile-schemas update-mime-database fc-cache "
        "update-desktop-database gtk-update-icon-cache update-icon-caches "
        "gio-querymodules gdk-pixbuf-query-loaders update-mime install-info "
        "update-info-dir update-fonts-scale update-fonts-dir update-fonts-alias "
        "emacs-package-install emacsen-common install-docs update-app-install "
    ).split(),
    # Of binary formats of the kernel's, and byte code, which Python makes itself.
    *("update-binfmts ").split(),
}
"""Commands whose absence no container feels."""

_HARMLESS_PREFIXES = ("db_", "log_", "/etc/init.d/", "debconf", "systemd-")
_HARMLESS_PATHS = ("/usr/share/debconf/", "/usr/share/lintian", "/lib/init/", "/etc/default/")


def phrase(command: Reached) -> str | None:  # noqa: PLR0911  (one way out for each kind)
    """What a command that is left does, as a phrase that follows “it would”; None: no matter."""
    writes = [path for path in command.writes if not path.startswith("/run/")]
    if writes and not is_unknown(writes[0]):
        return f"write {writes[0]}"
    if not command.words:
        return None
    words = command.words
    program = words[0].rpartition("/")[2]
    if words[0] in (".", "source"):
        return None
    if program in _HARMLESS or words[0].startswith(_HARMLESS_PREFIXES + _HARMLESS_PATHS):
        return None
    if any(word.endswith("py_compile.py") for word in words):
        return None
    options = [word for word in words[1:] if word.startswith("-")]
    if _HARMLESS_WITH.get(program, set()) & set(options):
        return None
    if program == "sed" and not any(re.match("-[a-zA-Z]*i|--in-place", one) for one in options):
        return None
    if program == "perl" and not any(re.match("-[a-zA-Z]*i", one) for one in options):
        return None
    if is_unknown(words[0]) or not re.search("[a-zA-Z]", program):
        return UNKNOWN
    paths = [word for word in words[1:] if word.startswith("/")]
    if program in _VERBS and paths and not is_unknown(paths[-1]):
        return f"{_VERBS[program]} {paths[-1]}"
    if program in _TOPICS:
        return _TOPICS[program]
    text = " ".join(" ".join(words).split())
    return f"run `{text if len(text) <= 60 else text[:59].rstrip() + '…'}`"


_HARMLESS_WITH = {
    "dpkg-divert": {"--no-rename", "--remove", "--truename", "--list", "--listpackage"},
    "dpkg-statoverride": {"--list", "--remove"},
    "update-alternatives": {"--remove", "--remove-all", "--auto", "--query", "--display", "--list"},
    "java": {"-version", "--version"},
    "setcap": {"-r"},
}
"""Programs that only look, or take back, with these options."""

_VERBS = {
    **dict.fromkeys(("ln", "touch", "mkdir", "mknod", "mkfifo"), "make"),
    **dict.fromkeys(("cp", "mv", "install", "ucf"), "put in place"),
    **dict.fromkeys(("chown", "chgrp"), "change the owner of"),
    "chmod": "change the mode of",
    "sed": "edit",
    "perl": "edit",
    "dpkg-divert": "divert",
    "setcap": "give capabilities to",
    "dpkg-statoverride": "change the owner and mode of",
}
"""What programs do to the last path they are given."""

_TOPICS = {
    "update-xmlcatalog": "register XML catalogs",
    "update-catalog": "register SGML catalogs",
    "pam-auth-update": "write the PAM settings in /etc/pam.d",
    "update-ca-certificates": "gather the certificates in /etc/ssl/certs",
    "make-ssl-cert": "make a certificate for this machine",
    "a2enmod": "turn on Apache modules",
    "a2ensite": "turn on Apache sites",
    "a2enconf": "turn on Apache settings",
    "apache2_invoke": "turn on Apache settings",
    "php_invoke": "turn on PHP modules",
    "update-texmf": "write the settings of TeX",
    **dict.fromkeys(("pg_createcluster", "configure_version"), "make a database cluster"),
}
