#!/bin/sh
# SPDX-License-Identifier: MIT
# Joins the objects of a static library into one; with "hide" it makes hidden names local.
#   prelink.sh hide|show CC... -- IN.a OUT.a
set -eu
names=$1
shift
cc=
while [ "$1" != -- ]; do cc="$cc $1"; shift; done
in=$2 out=$3
tmp=$out.o
trap 'rm -f "$tmp"' EXIT
$cc -r -nostdlib -o "$tmp" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
if [ "$names" = hide ]; then objcopy --localize-hidden "$tmp"; fi
rm -f "$out"
ar rcsD "$out" "$tmp"
