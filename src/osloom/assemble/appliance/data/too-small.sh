#!/bin/sh
# too-small [DISK]: says on the console when DISK, by default that of the root, has less than the
# kernel's command line says that this system needs.
disk=$1
read -r line </proc/cmdline
for word in $line; do
    case $word in
        osloom.least-disk=*) least=${word#*=} ;;
    esac
done
if [ -z "$disk" ]; then
    # No other mapping is there before the data are.
    for partition in /sys/class/block/dm-*/slaves/*; do
        for place in /sys/class/block/*/"${partition##*/}"; do
            disk=${place%/*}
            disk=${disk##*/}
        done
    done
fi
read -r sectors <"/sys/class/block/$disk/size" || exit 0
has=$((sectors / 2048))
needs=$((least / 1048576))
[ "$has" -lt "$needs" ] || exit 0
echo "<2>osloom: the disk $disk is too small: it has $has MiB, and this system needs $needs MiB" >/dev/kmsg
