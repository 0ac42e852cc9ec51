#!/bin/sh
# SPDX-License-Identifier: MIT
# Configures a build directory if need be, and builds.
#   build.sh DIR [meson options]
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift
# New files need no registration, but Meson looks for them only when it configures.
if [ -f "$dir/build.ninja" ]; then
        meson setup --reconfigure "$dir" "$@" >"$dir/configure.log" 2>&1 || { cat "$dir/configure.log"; exit 1; }
else
        mkdir -p "$dir"
        meson setup "$dir" "$@" >"$dir/configure.log" 2>&1 || { cat "$dir/configure.log"; exit 1; }
fi
exec ninja -C "$dir" --quiet
