#!/bin/sh
# Installs the Debian packages that only the benchmark's pictures need: a browser without a window, and fonts for it.
# Does nothing when all are there. What the end-to-end tests need is installed by their own script.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

packages="chromium-headless-shell fonts-dejavu-core"

missing=
for package in $packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "benchmark: not installed:$missing (run $0 as root)" >&2
    exit 1
fi

get() {
    apt-get -y -q -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || get update
echo "benchmark: installing$missing"
# shellcheck disable=SC2086  # a list of words
get install --no-install-recommends $missing >/dev/null 2>&1 || {
    # Package lists may be old.
    get update && get install --no-install-recommends $missing
}
