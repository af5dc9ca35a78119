#!/bin/sh
# extensions [OPTION…]: merge the newest version of each extension that fits this system, with the
# options of systemd-sysext(8). Of NAME.sysext.raw.v that takes the newest, systemd.v(7), or nothing:
# where the newest is for another system, an older one stands in /run before it until it is replaced.
merged() { # KIND NAME: the version that is merged
    case $1 in sysext) place=/usr/lib field=SYSEXT ;; confext) place=/etc field=CONFEXT ;; esac
    sed -n "s/^${field}_VERSION_ID=//p" "$place/extension-release.d/extension-release.$2" 2>/dev/null
}
mkdir -p /run/osloom
for directory in /var/lib/extensions/*.sysext.raw.v /var/lib/confexts/*.confext.raw.v; do
    case $directory in *.sysext.raw.v) kind=sysext ;; *) kind=confext ;; esac
    name=${directory##*/}
    name=${name%".$kind.raw.v"}
    files=$(find "$directory" -printf '%f\n' 2>/dev/null | sed -n "s/^${name}_\([0-9]*\)\.$kind\.raw$/\1/p" | sort -rn)
    newest=$(echo "$files" | head -n 1)
    seen=/run/osloom/$kind.$name
    [ "$(cat "$seen" 2>/dev/null)" = "$newest" ] && continue
    older=/run/${directory#/var/lib/}
    older=${older%/*}/$name.$kind
    if [ "$(merged $kind "$name")" != "$newest" ]; then
        for version in $files; do
            rm -f "$older.raw" "$older.roothash"
            if [ "$version" != "$newest" ]; then
                mkdir -p "${older%/*}"
                ln -s "$directory/${name}_$version.$kind.raw" "$older.raw"
                ln -s "$directory/${name}_$version.$kind.roothash" "$older.roothash"
            fi
            systemd-$kind refresh "$@" && [ "$(merged $kind "$name")" = "$version" ] && break
            echo "<4>version $version of the extension $name does not fit this system"
        done
        # What could not be merged for another's sake is tried again with that.
        [ "$(merged $kind "$name")" = "$version" ] || { rm -f "$older.raw" "$older.roothash"; continue; }
    fi
    echo "$newest" >"$seen"
done
