#!/bin/sh
# too-small BYTES [DISK]: says on the console when DISK, by default that of the root, has less.
disk=$2
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
needs=$(($1 / 1048576))
[ "$has" -lt "$needs" ] || exit 0
echo "<2>osloom: the disk $disk is too small: it has $has MiB, and this system needs $needs MiB" >/dev/kmsg
