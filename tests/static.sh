#!/bin/sh
# Checks that a broker is statically linked, runs the demo with it and binds a host name.
set -eu

broker=$(realpath "$1")
if readelf --program-headers "$broker" | grep -q INTERP; then
    echo "static: $broker needs a dynamic linker" >&2
    exit 1
fi
if readelf --dynamic "$broker" | grep NEEDED; then
    echo "static: $broker needs the libraries above" >&2
    exit 1
fi
echo "static: $(stat --format %s "$broker") bytes, no dynamic library"

replies=$("$broker" demo --clients 3 | grep --count ': REP OK from PROCESSOR-')
test "$replies" -eq 3
echo "static: the demo runs"

directory=$(mktemp --directory)
trap 'kill "$pid" 2>/dev/null || true; rm -r "$directory"' EXIT
"$broker" serve --frontend tcp://localhost:0 --backend "ipc://$directory/backend" >"$directory/log" &
pid=$!
for _ in $(seq 600); do
    if grep -q '^ready$' "$directory/log"; then
        grep '^frontend tcp://' "$directory/log"
        echo "static: localhost is found and bound"
        exit 0
    fi
    kill -0 "$pid" || exit 1
    sleep 0.1
done
exit 1
