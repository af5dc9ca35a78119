"""Which packages hold the programs that osloom runs: the tools image."""

SUITE = "trixie"

PACKAGES = (
    "bubblewrap",
    "cpio",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "libarchive13t64",  # mke2fs loads it to read a tar archive
    "mtools",
    "systemd",
    "systemd-boot-efi",
    "systemd-boot-tools",
    "systemd-repart",
    "systemd-ukify",
    "xz-utils",
    "zstd",
    "qemu-utils",
)
