#!/bin/sh
# fetch-changes DIRECTORY URL NAME ROOT HASHES UKI: the files of the version NAME (`ID_VERSION`) from URL
# in DIRECTORY, of which only those blocks are fetched that this device has not in ROOT and UKI.
#
# Which blocks a root consists of is in its dm-verity hashes; HASHES are those of ROOT. For a UKI
# `NAME.blocks` says it: the size of the file and of its first block, and eight bytes of each
# block's SHA-256. Who signed SHA256SUMS is not verified here: systemd-sysupdate does that.
set -eu
directory=$1 url=${2%/} name=$3 old_root=$4 old_hashes=$5 old_uki=$6
export LC_ALL=C
umask 077
mkdir -p "$directory"
cd "$directory"

block=4096
most=268435456 # Bytes of a file that is fetched before anything says how large it may be.
few=8 # Blocks that are fetched, too, with those before and behind them: a request takes its time.

fetch() { curl --fail --silent --show-error --location --retry 3 --max-filesize "$most" --output "$1" "$url/$1"; }
listed() { sed -n "s/^[0-9a-f]\{64\} [ *]\($name$1\)\$/\1/p" SHA256SUMS | grep .; }
number() { od -An "-tu$3" -j "$2" -N "$3" "$1" | tr -d ' '; } # FILE PLACE BYTES
hexadecimal() { od -An -v -tx1 "$@" | tr -d ' '; }

# veritysetup(8): the superblock has the number of blocks at 72 and the salt from 80 on. The hashes of
# the blocks are what the file ends with, 128 to a block; behind the superblock are those of hashes.
root_blocks() {
    count=$(number "$1" 72 8) level=$(number "$1" 72 8) place=1
    level=$(((level + 127) / 128))
    while [ "$level" -gt 1 ]; do
        level=$(((level + 127) / 128))
        place=$((place + level))
    done
    hexadecimal -w32 -j "$((place * block))" -N "$((count * 32))" "$1"
}

# PE Format: where the section `.linux` begins in the file, of which the rest of a block is the first.
first_block() {
    header=$(number "$1" 60 4)
    entry=$((header + 24 + $(number "$1" $((header + 20)) 2)))
    end=$((entry + 40 * $(number "$1" $((header + 6)) 2)))
    while [ "$entry" -lt "$end" ]; do
        if [ "$(hexadecimal -j "$entry" -N 8 "$1")" = 2e6c696e75780000 ]; then
            first=$(($(number "$1" $((entry + 20)) 4) % block))
            break
        fi
        entry=$((entry + 40))
    done
    [ "${first:-0}" -gt 0 ] || first=$block
    echo "$first"
}

uki_blocks() { # FILE FIRST
    mkdir blocks
    head -c "$2" "$1" >blocks/0
    tail -c "+$(($2 + 1))" "$1" | split -b "$block" -a 5 - blocks/1
    sha256sum blocks/* | cut -c 1-16
    rm -r blocks
}

# OLD NEW, the hashes of their blocks: where each run of new blocks comes from, as
# `copy|fetch FIRST COUNT`. The first is one of the old file's, or of the new one's.
plan() {
    awk -v few="$few" '
    function put(kind, first, count) {
        if (kind == "copy" && count < few && kinds[runs] == "fetch") { kind = "fetch"; first = at }
        if (kind == "fetch" && kinds[runs] == "fetch") counts[runs] += count
        else { runs++; kinds[runs] = kind; firsts[runs] = first; counts[runs] = count }
        at += count
    }
    FILENAME == ARGV[1] { old[FNR - 1] = $1; if (!($1 in place)) place[$1] = FNR - 1; next }
    FNR > 1 && kind == "copy" && old[first + count] == $1 { count++; next }
    FNR > 1 && kind == "fetch" && !($1 in place) { count++; next }
    {
        if (FNR > 1) put(kind, first, count)
        kind = $1 in place ? "copy" : "fetch"
        first = kind == "copy" ? place[$1] : FNR - 1
        count = 1
    }
    END {
        put(kind, first, count)
        for (run = 1; run <= runs; run++) print kinds[run], firsts[run], counts[run]
    }' "$1" "$2"
}

# PLAN FIRST-BLOCK SIZE: the byte ranges to fetch, as `FROM TO`.
ranges() {
    awk -v first="$2" -v size="$3" -v block="$block" '
    function byte(number) { return number ? first + (number - 1) * block : 0 }
    $1 == "fetch" { end = byte($2 + $3); printf "%.0f %.0f\n", byte($2), (end < size ? end : size) - 1 }
    ' "$1"
}
total() { awk '{ sum += $2 - $1 + 1 } END { printf "%.0f\n", sum }' "$1"; }

# FILE: the requests for its ranges, curl(1); each writes a file `FILE.N`.
requests() {
    part=0
    while read -r from to; do
        part=$((part + 1))
        printf 'url = "%s/%s"\nrange = "%s-%s"\noutput = "%s.%s"\n' "$url" "$1" "$from" "$to" "$1" "$part"
        # A server that knows no ranges would send the whole file each time.
        printf 'max-filesize = %s\nfail\nsilent\nshow-error\nlocation\nretry = 3\nnext\n' $((to - from + 1))
    done <"$1.ranges"
}

# FILE OLD FIRST-BLOCK: put together what the plan says; FIRST-BLOCK is that of OLD.
assemble() {
    part=0
    while read -r kind first count; do
        if [ "$kind" = fetch ]; then
            part=$((part + 1))
            cat "$1.$part"
            rm "$1.$part"
        else
            end=$(($3 + (first + count - 1) * block))
            start=$((first > 0 ? $3 + (first - 1) * block : 0))
            dd if="$2" bs=256K iflag=skip_bytes,count_bytes,fullblock status=none \
                skip="$start" count="$((end - start))"
        fi
    done <"$1.plan" >"$1"
}

fetch SHA256SUMS
fetch SHA256SUMS.gpg
hashes=$(listed '_[0-9a-f-]*\.verity') root=$(listed '_[0-9a-f-]*\.root')
uki=$(listed '\.efi') list=$(listed '\.blocks')
fetch "$hashes"
fetch "$list"
if signature=$(listed '\.verity-sig'); then fetch "$signature"; fi
cmp -s -i 80 -n 264 "$hashes" "$old_hashes" || {
    echo "the roots' blocks cannot be compared: their hashes have other salts"
    exit 1
}

root_blocks "$old_hashes" >old
root_blocks "$hashes" >new
plan old new >"$root.plan"
root_size=$(($(number "$hashes" 72 8) * block))
ranges "$root.plan" "$block" "$root_size" >"$root.ranges"

old_first=$(first_block "$old_uki")
uki_blocks "$old_uki" "$old_first" >old
hexadecimal -w8 -j 16 "$list" >new
plan old new >"$uki.plan"
uki_size=$(number "$list" 0 8)
ranges "$uki.plan" "$(number "$list" 8 8)" "$uki_size" >"$uki.ranges"
rm old new

fetched=$(($(total "$root.ranges") + $(total "$uki.ranges") + $(stat --format=%s "$hashes") + $(stat --format=%s "$list")))
whole=$((root_size + uki_size + $(stat --format=%s "$hashes")))
echo "$name: $fetched bytes are fetched of $whole"
echo "$fetched $whole" >sizes
free=$(df --block-size=1 --output=avail . | tail -n 1)
if [ "$free" -lt "$whole" ]; then
    echo "all of it is fetched, without a copy here: there are only $free bytes free"
    exit 1
fi
requests "$root" >wanted
requests "$uki" >>wanted
sed -i '$d' wanted
[ ! -s wanted ] || curl --no-progress-meter --fail-early --parallel --parallel-max 4 --config wanted
assemble "$root" "$old_root" "$block"
assemble "$uki" "$old_uki" "$old_first"
grep -F -e "  $root" -e "  $uki" SHA256SUMS | sha256sum --check --quiet
