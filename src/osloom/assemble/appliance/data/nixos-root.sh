#!/bin/sh
# The root of a NixOS system before it activates: what the image has beside its store, and directories
# of the data partition. /etc is mounted already.
set -e
image=/sysroot/nix/image
for path in "$image"/*; do
    case ${path##*/} in
        etc | nix | osloom | var) ;;
        *) cp -a "$path" /sysroot/ ;;
    esac
done
cp -a "$image/nix/var" /sysroot/nix/
# The link of another version's activation leads nowhere: without it this is no system to switch to.
cp --remove-destination "$image/etc/os-release" /sysroot/etc/
keep() { # NAME PLACE MODE
    mkdir -p "/sysroot/$1"
    [ -d "/sysroot/var/$2" ] || mkdir -m "$3" "/sysroot/var/$2"
    mount --bind "/sysroot/var/$2" "/sysroot/$1"
}
keep home home 755
keep root roothome 700
keep srv srv 755
