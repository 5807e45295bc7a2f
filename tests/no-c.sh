#!/bin/sh
# Proves that neither crate compiles or links C: no package in what they are built from runs a C
# compiler or names a native library, and the build succeeds where there is no C compiler to run.
set -eu

for crate in zmtp broker; do
    packages=$(cargo tree --locked -p "$crate" -e normal,build --prefix none --format '{p}' | sort -u)
    # linux-raw-sys is constants and types in Rust.
    if echo "$packages" | grep -v '^linux-raw-sys ' | grep -E '^(cc|cmake|pkg-config|bindgen|vcpkg|system-deps|[a-z0-9_-]+-sys|[a-z0-9_-]+-src) '; then
        echo "no-c: $crate is built with the packages above" >&2
        exit 1
    fi
    count=$(echo "$packages" | wc -l)
    echo "no-c: $crate is built from $count packages, none of them for C"
done

# One that is named again is marked with (*).
packages=$(cargo tree --locked -p zmtp -e normal --prefix none --format '{p}' | sed 's/ (\*)$//' | sort -u | wc -l)
if [ "$packages" -gt 20 ]; then
    echo "no-c: zmtp's normal tree has $packages packages, 20 are allowed" >&2
    exit 1
fi

# rustc still calls the system's linker, by its own setting.
CC=/bin/false CXX=/bin/false AR=/bin/false \
    cargo build --locked --quiet -p broker --target-dir target/no-c
echo "no-c: broker builds without a C compiler"
