"""Which packages hold the programs that osloom runs: the tools image, and others beside it."""

SUITE = "trixie"

PACKAGES = (
    "bubblewrap",
    "coreutils",
    "dash",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "libarchive13t64",  # mke2fs loads it to read a tar archive
    "libfaketime",  # engine.clock
    "systemd-boot-efi",
    "qemu-utils",
)

EMULATOR = ("qemu-user",)
"""Static programs: they start in images, which have no library of this host's."""

COMPRESSORS = ("libfaketime", "pigz", "xz-utils", "zstd")
"""An image of their own: a container without scripts is made with no other tool, and what was
compressed need not be compressed again when another tool changes. The library of zstd, which
`engine.encoder` loads, is there because pigz depends on dpkg, and dpkg on it."""

NIX = ("bubblewrap", "ca-certificates", "dash", "git", "nix-bin")
"""What evaluates and builds what images take from flakes, where the host has no Nix."""

CONTAINERS = ("catatonit", "crun", "passt")
"""What runs containers: the runtime, the first process in each, and their network (pasta)."""

DEBUG = (
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "findutils",
    "grep",
    "iproute2",
    "iputils-ping",
    "less",
    "libc-bin",
    "mawk",
    "ncurses-base",
    "procps",
    "sed",
    "strace",
    "tar",
    "util-linux",
    "vim-tiny",
)
"""What a person who looks into a container needs, whatever the image has itself."""
