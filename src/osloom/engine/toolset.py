"""Which packages hold the programs that osloom runs: the tools image, and the compressors."""

SUITE = "trixie"

PACKAGES = (
    "bubblewrap",
    "coreutils",
    "dash",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "libarchive13t64",  # mke2fs loads it to read a tar archive
    "libfaketime",  # engine.clock
    "mtools",
    "systemd-boot-efi",
    "systemd-repart",
    "systemd-ukify",
    "qemu-utils",
)

EMULATOR = ("qemu-user",)
"""Static programs: they start in images, which have no library of this host's."""

DEBUG = (
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "findutils",
    "grep",
    "iproute2",
    "less",
    "libc-bin",
    "procps",
    "sed",
    "strace",
    "util-linux",
)
"""What somebody who looks into a running container reaches for."""

COMPRESSORS = ("libfaketime", "pigz", "xz-utils", "zstd")
"""An image of their own: a container without scripts is made with no other tool, and what was
compressed need not be compressed again when another tool changes."""
