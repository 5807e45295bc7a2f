#!/bin/bash
# Puts a static program, its manual pages, its completions and what it is run with into an archive, and its checksum beside
# that. The same program gives the same archive.
# Usage: deploy/release.sh PROGRAM TARGET DIRECTORY
set -euo pipefail
program=$1 target=$2 directory=$3
here=$(dirname "$0")
version=$("$program" --version | cut -d ' ' -f 2)
name=broker-$version-$target
rm -rf "${directory:?}/$name"
mkdir -p "$directory/$name/man" "$directory/$name/completions"
cp "$program" "$here"/broker.toml "$here"/broker{.service,.socket,-workers.socket} "$here"/alerts.yml "$here"/grafana.json \
    "$here"/../LICENSE-* "$here"/../docs/operating.md "$directory/$name/"
"$program" man > "$directory/$name/man/broker.1"
for command in $("$program" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | grep -v '^help$'); do
    "$program" man "$command" > "$directory/$name/man/broker-$command.1"
done
for command in list show resubmit; do
    "$program" man dead-letters "$command" > "$directory/$name/man/broker-dead-letters-$command.1"
done
for shell in bash zsh fish; do
    "$program" completions "$shell" > "$directory/$name/completions/broker.$shell"
done
tar --directory "$directory" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --use-compress-program='gzip -n' --create --file "$directory/$name.tar.gz" "$name"
rm -r "${directory:?}/$name"
(cd "$directory" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
