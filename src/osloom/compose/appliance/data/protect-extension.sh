#!/bin/sh
# protect-extension NAME: the version that is merged is not what makes room for a newer one.
version=$(sed -n 's/^\(SYS\|CONF\)EXT_VERSION_ID=//p' "/usr/lib/extension-release.d/extension-release.$1" \
    "/etc/extension-release.d/extension-release.$1" 2>/dev/null | head -n 1)
[ -n "$version" ] || exit 0
for file in "/usr/lib/sysupdate.$1.d"/*.transfer; do
    place=/run/sysupdate.$1.d/${file##*/}.d
    mkdir -p "$place"
    printf '[Transfer]\nProtectVersion=%s\n' "$version" >"$place/merged.conf"
done
