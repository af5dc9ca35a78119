#!/bin/sh
# update URL: replace what runs by a newer version from URL. It is systemd-sysupdate that verifies and
# writes it, from the network or from what was put together here of old blocks and fetched ones.
sysupdate=/usr/lib/systemd/systemd-sysupdate
work=/var/lib/osloom/update
definitions=$work/definitions
last=/var/lib/osloom/last-update
url=$1
escaped=$(printf %s "$url" | sed 's/%/%%/g')
export work escaped
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
. /etc/os-release

option() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p" | tail -n 1; }
# The hashes' partition has the second half of the root hash for an id.
hashes=$(option roothash | sed 's/^.\{32\}\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/')
for uki in /efi/EFI/Linux/ /boot/EFI/Linux/; do
    uki=$(find "$uki" -name "${IMAGE_ID}_$IMAGE_VERSION.efi" -o -name "${IMAGE_ID}_$IMAGE_VERSION+*.efi")
    [ -n "$uki" ] && break
done 2>/dev/null

if version=$($sysupdate check-new) && /usr/lib/osloom/fetch-changes "$work" "$url" \
    "${IMAGE_ID}_$version" /dev/mapper/root "/dev/disk/by-partuuid/$hashes" "$uki"; then
    mkdir "$definitions"
    for file in /usr/lib/sysupdate.d/*.transfer; do
        # One that is masked, sysupdate.d(5).
        [ -L "/run/sysupdate.d/${file##*/}" ] && continue
        awk '$0 == "Path=" ENVIRON["escaped"] { $0 = "Path=file://" ENVIRON["work"] } { print }' \
            "$file" >"$definitions/${file##*/}"
    done
    if $sysupdate --definitions="$definitions" update "$version"; then
        echo "$version $(cat "$work/sizes")" >"$last"
        exit 0
    fi
fi
rm -rf "$work" "$last"
$sysupdate update
