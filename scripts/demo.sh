#!/bin/bash
# SPDX-License-Identifier: MIT
# Shows the stack at work:
#   1. Linux's own TCP (curl, wrk) talks to `millrace httpd` over a TAP device,
#      in a network namespace of its own
#   2. both ends ours, in one process: 100,000 connections held at once over loop:,
#      and data passed on each
# Without root or /dev/net/tun only the second.  Leaves nothing behind.
#   demo.sh [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build}")
conns=${CONNS:-100000}
ns=mr-demo-$$
tmp=$(mktemp -d)
server=
rows=()

clean_up() {
        [ -z "$server" ] || kill "$server" 2>/dev/null || true
        [ -z "$server" ] || wait "$server" 2>/dev/null || true
        $as_root ip netns del "$ns" 2>/dev/null || true
        rm -rf "$tmp"
}

as_root=
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
        [ ! -t 0 ] || sudo -v || true           # asks for the password, if there is somebody to ask
        ! sudo -n true 2>/dev/null || as_root=sudo
fi
trap clean_up EXIT
trap 'exit 1' INT TERM

say() { printf '\n== %s\n' "$*"; }
row() { rows+=("$(printf '  %-34s %s' "$1" "$2")"); }
in_ns() { $as_root ip netns exec "$ns" "$@"; }

die() {
        echo "demo: $*" >&2
        [ ! -s "$tmp/httpd.err" ] || cat "$tmp/httpd.err" >&2
        exit 1
}

why_no_tap() {
        if [ "$(id -u)" != 0 ] && [ -z "$as_root" ]; then
                echo "not root, and no sudo that lets us be"
        elif [ ! -c /dev/net/tun ]; then
                echo "no /dev/net/tun here"
        elif ! $as_root ip netns add "$ns" 2>"$tmp/netns.err"; then
                echo "no network namespace: $(cat "$tmp/netns.err")"
        fi
}

# Clock ticks of CPU time that process $1 has used.
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

server_pid() { $as_root ip netns pids "$ns" | head -1; }

wait_for_tap() {
        for _ in $(seq 100); do
                $as_root ip -n "$ns" link show mr0 >/dev/null 2>&1 && return
                kill -0 "$server" 2>/dev/null || die "httpd did not start"
                sleep 0.05
        done
        die "no device mr0 after 5 s"
}

demo_tap() {
        local size before after errors requests

        say "httpd on our stack, behind a TAP device, in network namespace $ns"
        echo "\$ millrace httpd --dev tap:mr0 --addr 10.77.0.2/24"
        in_ns "$build/millrace" httpd --dev tap:mr0 --addr 10.77.0.2/24 >"$tmp/httpd.out" 2>"$tmp/httpd.err" &
        server=$!
        wait_for_tap
        $as_root ip -n "$ns" addr add 10.77.0.1/24 dev mr0
        $as_root ip -n "$ns" link set mr0 up

        say "curl, over Linux's TCP"
        echo "\$ curl http://10.77.0.2/"
        in_ns curl -sS --max-time 10 --retry 3 -o "$tmp/page" http://10.77.0.2/ || die "curl failed"
        cat "$tmp/page"
        size=$(stat -c %s "$tmp/page")
        row "page fetched by curl" "$size octets"

        say "wrk for 5 s: 64 connections"
        before=$(cpu_ticks "$(server_pid)")
        in_ns wrk -t1 -c64 -d5 http://10.77.0.2/ | tee "$tmp/wrk" || die "wrk failed"
        after=$(cpu_ticks "$(server_pid)")
        requests=$(awk '/requests in/ { print $1 }' "$tmp/wrk")
        errors=$(awk '/Socket errors/ { sub(/.*errors: /, ""); print }' "$tmp/wrk")
        row "requests a second, 64 connections" "$(awk '/^Requests\/sec/ { printf "%.0f", $2 }' "$tmp/wrk")"
        row "server's core, each request" "$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" \
                -v n="$requests" 'BEGIN { printf "%.2f us", t / hz * 1e6 / n }')"
        row "socket errors" "${errors:-none}"

        kill -TERM "$(server_pid)"
        wait "$server" || die "httpd ended with an error"
        server=
        [ -z "$errors" ] || die "wrk saw socket errors: $errors"
}

demo_loop() {
        say "both ends ours, in one process: $conns connections at once"
        echo "\$ millrace c10m --conns $conns"
        "$build/millrace" c10m --conns "$conns" >"$tmp/c10m" || { cat "$tmp/c10m"; die "c10m failed"; }
        mapfile -t -O "${#rows[@]}" rows < <(grep '^  ' "$tmp/c10m")
}

why=$(why_no_tap)
if [ -n "$why" ]; then
        say "The part with Linux's TCP is left out: $why"
else
        demo_tap
fi
demo_loop

say "What was seen"
printf '%s\n' "${rows[@]}"
