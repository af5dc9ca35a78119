#!/bin/sh
# A boot on trial that fails is ended at once: systemd-boot has counted it, and tries the version
# once more or returns to the one before. A version that was found good is never rebooted from here.
[ -e /sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f ] || exit 0
[ -e /run/osloom-good ] && exit 0
# An error, so that a console shows it that is told to say little.
echo "<3>osloom: this boot of a new version has failed: rebooting" >/dev/kmsg
journalctl --sync 2>/dev/null
systemctl reboot --no-block --message="a boot of a new version has failed" || systemctl reboot --force --force
