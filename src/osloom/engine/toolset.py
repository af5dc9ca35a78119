"""Which packages hold the programs that osloom runs: the tools image."""

SUITE = "trixie"

PACKAGES = (
    "bubblewrap",
    "coreutils",
    "dash",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "libfaketime",  # engine.clock
    "libarchive13t64",  # mke2fs loads it to read a tar archive
    "mtools",
    "systemd-boot-efi",
    "systemd-repart",
    "systemd-ukify",
    "qemu-utils",
)
