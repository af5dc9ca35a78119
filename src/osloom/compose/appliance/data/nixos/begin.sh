#!/bin/sh
# begin ID VERSION: what is known of a version when NixOS has activated.
#
# Activation makes a link of /etc/os-release at every boot, to what all versions of the image may share.
{
    grep -v '^IMAGE_' /etc/static/os-release
    printf 'IMAGE_ID=%s\nIMAGE_VERSION=%s\n' "$1" "$2"
} >/etc/os-release.new && mv -f /etc/os-release.new /etc/os-release

# The root is in memory: who asks for its disk, as systemd-sysupdate(8), looks at this link. It is the
# initrd's, but for where something else than systemd was started in between. The first half of the
# root hash is the id of the partition.
hash=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^roothash=//p')
id=$(printf %s "$hash" | sed 's/^\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)\(.\{12\}\).*/\1-\2-\3-\4-\5/')
ln -sfn "$(readlink -f "/dev/disk/by-partuuid/$id")" /run/systemd/volatile-root
