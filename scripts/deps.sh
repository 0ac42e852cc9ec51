#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages of docs/dependencies.md that are missing.
#   deps.sh [build|test|demo]...   which sets; default: build
set -eu

build="gcc libc6-dev binutils meson ninja-build pkg-config libinih-dev libhttp-parser-dev libssl-dev"
test="python3-pytest curl wrk netbase iproute2 iputils-ping nftables tcpdump procps ethtool"
demo="curl wrk netbase iproute2 procps"

want=
for set in "${@:-build}"; do
        case $set in
        build) want="$want $build" ;;
        test) want="$want $test" ;;
        demo) want="$want $demo" ;;
        *) echo "deps.sh: no such set $set; there are build, test, demo" >&2; exit 1 ;;
        esac
done

missing=
for p in $want; do
        case " $missing " in *" $p "*) continue ;; esac
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
                echo "deps.sh: these packages are missing and need root:$missing" >&2
                exit 1
        fi
        as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 && exit 0
# The lists of a fresh machine are empty or old.
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing
