#!/bin/sh
# health SECONDS PROGRAM: until the program succeeds, or has failed for so long.
end=$(($(date +%s) + $1))
while :; do
    left=$((end - $(date +%s)))
    [ "$left" -gt 0 ] || exit 1
    timeout --kill-after=5 "$left" "$2" && exit 0
    sleep 2
done
