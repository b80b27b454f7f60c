#!/bin/sh
# Waits until the test run is over (its end of our stdin closes, whatever ended it), ends what it left over and removes
# its folder. Exits 1 if there was something to end.
#   sweep.sh FOLDER MARK
folder=$1 mark=$2 left=0

# Processes with the mark (see processes.ts), zombies left out.
members() {
    if [ "$(id -u)" = 0 ]; then
        grep -lsE "^Groups:.*[[:space:]]$mark( |$)" /proc/[0-9]*/status
    else
        grep -lzs "^OPENQA_E2E_$mark=" /proc/[0-9]*/environ
    fi | cut -d/ -f3 | while read -r pid; do
        grep -qs '^State:.Z' "/proc/$pid/status" || echo "$pid"
    done
}

cat >/dev/null
for pid in $(members); do
    [ -e "/proc/$pid/cmdline" ] || continue
    left=1
    echo "left over by the end-to-end tests: $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-100)" >&2
    kill -TERM "$pid" 2>/dev/null
done
tries=0
while [ -n "$(members)" ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
for pid in $(members); do kill -KILL "$pid" 2>/dev/null; done
# File systems that a test has mounted.
awk -v inside="$folder/" 'index($2, inside) == 1 { print $2 }' /proc/mounts | while read -r mounted; do
    umount -l "$mounted"
done
rm -rf --one-file-system "$folder"
exit $left
