#!/bin/sh
# Nobody watches an appliance: a boot on trial that gets no further ends, and systemd-boot has counted it.
[ -e /sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f ] || exit 0
echo "<3>osloom: this boot of a new version has failed: rebooting" >/dev/kmsg
systemctl reboot --force
