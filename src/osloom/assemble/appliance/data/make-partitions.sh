#!/bin/sh
# make-partitions ID: systemd-repart(8), with a passphrase for the data partition that it makes. The
# passphrase stays in the kernel's keyring until it is unlocked with it, some moments later.
if [ -e "/dev/disk/by-partuuid/$1" ] && ! grep -qw systemd.factory_reset /proc/cmdline &&
    [ ! -e /sys/firmware/efi/efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67 ]; then
    exec systemd-repart --dry-run=no
fi
key=/run/osloom-passphrase
umask 077
ask() {
    systemd-ask-password --id="osloom:$1" --keyname=cryptsetup --timeout=0 -n --emoji=no \
        --credential=cryptsetup.passphrase "$2"
}
while :; do
    ask new "Choose a passphrase for the data of this device:" >"$key" || exit 1
    [ -s "$key" ] && break
done
systemd-repart --dry-run=no --key-file="$key"
status=$?
rm -f "$key"
exit $status
