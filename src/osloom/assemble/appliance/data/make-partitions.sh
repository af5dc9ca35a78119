#!/bin/sh
# make-partitions ID: systemd-repart(8), with a passphrase for the data partition that it makes. The
# passphrase stays in the kernel's keyring until it is unlocked with it, some moments later.
# An initrd has the shell's own commands and few more.
read -r line </proc/cmdline
wanted=
[ -e /sys/firmware/efi/efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67 ] && wanted=yes
case " $line " in *" systemd.factory_reset "* | *" systemd.factory_reset=1 "* | *" systemd.factory_reset=yes "*) wanted=yes ;; esac
# The root's own partition is there: those beside it may not have their names yet.
udevadm settle --timeout=60
if [ -e "/dev/disk/by-partuuid/$1" ] && [ -z "$wanted" ]; then
    exec systemd-repart --dry-run=no
fi
ask() {
    systemd-ask-password --id="osloom:$1" --keyname=cryptsetup --timeout=0 -n --emoji=no \
        --credential=cryptsetup.passphrase "$2"
}
while :; do
    passphrase=$(ask new "Choose a passphrase for the data of this device:") || exit 1
    [ -n "$passphrase" ] && break
done
printf %s "$passphrase" | systemd-repart --dry-run=no --key-file=/dev/stdin
