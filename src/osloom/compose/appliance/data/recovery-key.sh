#!/bin/sh
# recovery-key ID: a key that opens the data partition when the TPM does not. It is shown on the
# console and kept nowhere: not in the journal either, which is on that very partition.
key=$(systemd-cryptenroll --unlock-tpm2-device=auto --recovery-key "/dev/disk/by-partuuid/$1" \
    2>/dev/null) || exit 1
printf '\n  The recovery key of this device. Write it down: it is not shown again.\n\n      %s\n\n' \
    "$key" >/dev/console
# Last: after a power cut before it another key is made and shown.
mkdir -p /var/lib/osloom
: >/var/lib/osloom/recovery-key-shown
sync
