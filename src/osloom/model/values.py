"""The values that a definition's keys may have: texts and numbers with their limits."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

# `extra` is for this program, not for the JSON schema: `inherit` is read by `definition.inherit`,
# `hint` and `secret` (never to be shown) by `definition.check`, `array` by `definition.shorthand`.

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="lower-case letters, digits, `.`, `_` and `-`, a letter or digit first",
        examples=["web"],
    ),
]
UserName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_][a-z0-9_.-]{0,31}$",
        description="lower-case letters, digits, `.`, `_` and `-`, a letter or `_` first",
        examples=["app"],
    ),
]
PackageName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[^\s]+)?$",
        description="the name of a package, with `=VERSION` where one version is wanted",
        examples=["nginx-light"],
    ),
]
Version = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z._~^+-]*$",
        description="letters, digits, `.`, `_`, `~`, `^`, `+` and `-`, a letter or digit first",
        examples=["7"],
    ),
]
UnitName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9:_.\\@-]+$",
        description="the name of a unit",
        examples=["nginx.service"],
    ),
]
AbsolutePath = Annotated[
    str,
    Meta(pattern=r"^/[^\0]*$", description="a path from the image's root", examples=["/srv/www"]),
]
MountPoint = Annotated[
    str,
    Meta(
        pattern=r"^/((?!\.{1,2}/)[^/\s#\\\x00-\x1f\x7f-\x9f]+/)*((?!\.{1,2}$)[^/\s#\\\x00-\x1f\x7f-\x9f]+)?$",
        description="a path from the image's root, without `.`, `..`, `//`, white space, `#` and "
        "backslash",
        examples=["/srv/data"],
    ),
]
Mode = Annotated[
    str,
    Meta(
        pattern=r"^0?[0-7]{3,4}$",
        description="three or four octal digits",
        examples=["0644"],
        extra={"hint": 'write it in octal and in quotes: `"0644"`'},
    ),
]
Size = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,15}[KMGT]?$",
        description="bytes, or a number with K, M, G or T behind it",
        examples=["512M"],
    ),
]
TimeSpan = Annotated[
    str,
    Meta(
        # systemd counts microseconds in 64 bits.
        pattern=r"^[1-9][0-9]{0,7}(s|min|h|d)$",
        description="a number with s, min, h or d behind it",
        examples=["6h"],
    ),
]
Password = Annotated[
    str,
    Meta(
        pattern=r"^[$!*]",
        description="a crypt(5) hash, as `openssl passwd -6` makes it",
        extra={"secret": "yes"},
    ),
]
Hostname = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$",
        description="letters, digits, `.` and `-`, 63 at most",
        examples=["web-1"],
    ),
]
Locale = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.@-]+$", description="the name of a locale", examples=["de_DE.UTF-8"]
    ),
]
Timezone = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        description="the name of a time zone",
        examples=["Europe/Vienna"],
    ),
]
SysctlName = Annotated[
    str,
    Meta(
        pattern=r"^-?[A-Za-z0-9_./*-]+$",
        description="the name of a kernel parameter",
        examples=["net.ipv4.ip_forward"],
    ),
]
Word = Annotated[
    str, Meta(pattern=r"^[^\s]+$", description="a word without spaces", examples=["main"])
]
Line = Annotated[str, Meta(pattern=r"^[^\n]*$", description="text of one line", examples=["quiet"])]
Url = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s\"'\\]+$",
        description="an address that starts with `https://` or `http://`",
        examples=["https://packages.example.com/debian"],
    ),
]
HttpUrl = Annotated[
    str,
    Meta(
        pattern=r"^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[^\s]*)?$",
        description="an address that starts with `http://localhost`",
        examples=["http://localhost:8080/health"],
    ),
]
CacheUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?|file|s3)://",
        description="an address that starts with `https://`, `http://`, `file://` or `s3://`",
        examples=["https://cache.example.com"],
    ),
]
PublicKey = Annotated[
    str,
    Meta(
        pattern=r"^[^:\s]+:[A-Za-z0-9+/]{43}=$",
        description="the name of a key, `:` and 32 bytes in base 64",
    ),
]
Installable = Annotated[
    str,
    Meta(
        pattern=r"^[^\s]+$",
        description="`FLAKE#ATTRIBUTE` or a store path",
        examples=["nixpkgs#kubectl"],
    ),
]
NixSystem = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9_]+-[a-z0-9]+$",
        description="processor and kernel",
        examples=["x86_64-linux"],
    ),
]
Suite = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        description="the name of a directory below `dists/`",
        examples=["trixie"],
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
PortName = Annotated[
    str,
    Meta(
        pattern=r"^([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])(/(tcp|udp|sctp))?$",
        description="a port from 1 to 65535, with a protocol behind it",
        examples=["53/udp"],
    ),
]
Tag = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
        description="letters, digits, `.`, `_` and `-`, 128 at most, no `.` or `-` first",
        examples=["1.2"],
    ),
]
RegistryAddress = Annotated[
    str,
    Meta(
        pattern=r"^(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:)|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$",
        description="a registry's host, with the beginning of the repositories' names behind it",
        examples=["registry.example.com/team"],
    ),
]
RepositoryName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$",
        description="lower-case letters and digits, divided by `/`, `.`, `-`, `_` or `__`",
        examples=["tools/app"],
    ),
]
Signal = Annotated[
    str,
    Meta(
        pattern=r"^(SIG(ABRT|ALRM|BUS|CHLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT"
        r"|SEGV|STKFLT|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ"
        r"|RTMIN(\+[0-9]{1,2})?|RTMAX(-[0-9]{1,2})?)|[1-9]|[1-5][0-9]|6[0-4])$",
        description="the name of a signal, or its number",
        examples=["SIGQUIT"],
    ),
]
EnvironmentName = Annotated[
    str,
    Meta(
        pattern=r"^[^=\0]+$",
        description="a name without `=`",
        examples=["LANG"],
    ),
]
Argument = Annotated[str, Meta(pattern=r"^[^\0]*$", description="text without a zero byte")]
LinkTarget = Annotated[
    str,
    Meta(pattern=r"^[^\0]+$", description="where a symbolic link points", examples=["../lib"]),
]
LabelName = Annotated[
    str,
    Meta(pattern=r"^[^\0]+$", description="the name of a label", examples=["com.example.team"]),
]
Arguments = Annotated[tuple[Argument, ...], Meta(extra={"inherit": "replace"})]
"""A program and its arguments: an image that sets it does not add to what it inherits."""
NONROOT = "nonroot"
"""The user of an application that names none."""
BUILT_IN_LOCALES = ("C", "C.UTF-8", "POSIX")
"""Locales that every libc has, and no program makes."""
BASES = ("oci:", "oci-layout:")
"""How `from` begins where it names an image of a registry, or a layout of one."""
Architecture = Literal["amd64", "arm64"]
SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "amd64": ("x86_64-linux", "i686-linux"),
    "arm64": ("aarch64-linux", "armv7l-linux"),
}
"""What Nix calls the systems whose programs an architecture runs, its own first."""
Architectures = Annotated[tuple[Architecture, ...], Meta(extra={"inherit": "replace"})]
Format = Literal["oci", "nspawn", "disk", "initrd", "uki", "tar", "sysext", "confext"]
