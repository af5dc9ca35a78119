#!/bin/sh
# start-new-version ID: reboot when a newer version than this one is there that has tries left.
# Numbers after `+` in the name of a UKI are tries left and done, systemd-boot(7); none is a good one.
. /etc/os-release
for directory in /efi /boot; do
    for file in "$directory"/EFI/Linux/"$1"_*.efi; do
        [ -e "$file" ] || continue
        name=${file##*/"$1"_}
        name=${name%.efi}
        version=${name%%+*}
        case $name in *+0 | *+0-*) continue ;; esac
        if [ "$version" -gt "$IMAGE_VERSION" ] 2>/dev/null; then
            echo "version $version is ready: rebooting"
            systemctl reboot --no-block
            exit 0
        fi
    done
done
