#!/bin/sh
# factory-reset menu | credential ESP | done: an initrd has the shell's own commands and few more.
# The first variable asks systemd-repart(8) for a reset, and whoever asks for a passphrase.
variables=/sys/firmware/efi/efivars
wanted=$variables/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67
default=$variables/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f

say() { echo "osloom: $1" >/dev/kmsg; }
forget() { # Without content there is no such variable, UEFI 8.2.
    [ -e "$1" ] || return 0
    chattr -i "$1"
    printf '\007\000\000\000' >"$1"
}
ask() { # Four bytes of attributes (kept, for boot and run time), then UTF-16.
    [ -e "$wanted" ] || printf '\007\000\000\000y\000e\000s\000\000\000' >"$wanted" || {
        say "there is no factory reset: the firmware keeps no variables"
        return 1
    }
}

case $1 in
menu)
    ask && say "a factory reset was chosen: rebooting for it"
    # As the menu's default, which `d` makes of it, the entry would reset at every boot.
    [ -e "$default" ] && read -r entry <"$default"
    case $entry in *@factory-reset*) forget "$default" ;; esac
    # In any case: this entry opens no data.
    systemctl reboot --force
    ;;
credential)
    device=/dev/disk/by-partuuid/$2
    esp=$RUNTIME_DIRECTORY
    IFS= read -r token <"$CREDENTIALS_DIRECTORY/osloom.factory-reset"
    if ! udevadm wait --timeout=60 "$device" || ! mount -t vfat "$device" "$esp"; then
        say "there is no factory reset: what was asked for before cannot be read"
        exit 1
    fi
    [ -e "$esp/loader/factory-reset" ] && IFS= read -r known <"$esp/loader/factory-reset"
    if [ -e "$esp/loader/factory-reset" ] && [ "$known" = "$token" ]; then
        exec umount "$esp"
    fi
    # First this, and then that it was done: after a power cut between them it is not lost.
    ask || exit 1
    if printf '%s\n' "$token" >"$esp/loader/factory-reset" && umount "$esp"; then
        say "a credential asks for a factory reset"
    else
        forget "$wanted"
        say "there is no factory reset: that it was done could not be noted"
        exit 1
    fi
    ;;
done)
    # systemd-repart leaves it where there was nothing to take away, as in a first boot.
    forget "$wanted"
    ;;
esac
