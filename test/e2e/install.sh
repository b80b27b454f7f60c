#!/bin/sh
# Installs the Debian packages that the end-to-end tests need: openQA's server, its stock worker, os-autoinst, QEMU, and
# what runs programs for arm64.
# Does nothing when all are there. Starts no service.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# libdbd-pg-perl and libminion-backend-sqlite-perl are only recommended by the packages that cannot do without them.
packages="openqa openqa-worker openqa-client os-autoinst libdbd-pg-perl libminion-backend-sqlite-perl
    libcpanel-json-xs-perl postgresql-15 qemu-system-x86 qemu-utils seabios optipng tesseract-ocr tesseract-ocr-eng
    nginx-light grub-rescue-pc rsync procps iproute2 util-linux
    qemu-user libc6-arm64-cross libstdc++6-arm64-cross"

missing=
for package in $packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "end-to-end tests: not installed:$missing (run $0 as root)" >&2
    exit 1
fi

scratch=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
made_policy=
trap 'rm -rf "$scratch"; [ -z "$made_policy" ] || rm -f "$policy"' EXIT
trap 'exit 1' INT TERM
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=1
fi
# Keeps postgresql-common from creating and starting a default cluster.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi

# os-autoinst depends on all 160 languages of the OCR; English will do.
if ! dpkg -s tesseract-ocr-all >/dev/null 2>&1; then
    mkdir -p "$scratch/package/DEBIAN"
    cat >"$scratch/package/DEBIAN/control" <<CONTROL
Package: tesseract-ocr-all
Version: 1:4.1.0-2+standin
Architecture: all
Maintainer: openqa-worker end-to-end tests <root@localhost>
Depends: tesseract-ocr, tesseract-ocr-eng
Description: stand-in for the metapackage of all OCR languages
CONTROL
    dpkg-deb --build --root-owner-group "$scratch/package" "$scratch/tesseract-ocr-all.deb" >/dev/null
    chmod 755 "$scratch"
    missing="$missing $scratch/tesseract-ocr-all.deb"
fi

get() {
    apt-get -y -q -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || get update
echo "end-to-end tests: installing$missing"
# shellcheck disable=SC2086  # a list of words
get install --no-install-recommends $missing >"$scratch/log" 2>&1 || {
    # Package lists may be old.
    get update && get install --no-install-recommends $missing
}
