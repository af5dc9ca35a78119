"""Which packages hold the programs that osloom runs: the tools image."""

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
