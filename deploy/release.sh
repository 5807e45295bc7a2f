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
mkdir -p "$directory/$name"/{man,completions,deploy,docs}
cp "$program" "$here"/../{LICENSE-APACHE,LICENSE-MIT,README.md,SECURITY.md,CHANGELOG.md} "$directory/$name/"
# As in the repository, so that the guide's links and commands hold.
cp "$here"/broker.toml "$here"/broker{.service,.socket,-workers.socket} "$here"/alerts.yml "$here"/grafana.json \
    "$directory/$name/deploy/"
cp "$here"/../docs/{operating.md,performance.md,page.png,page-phone.png,page-broken.png,performance.svg,top.svg} \
    "$directory/$name/docs/"
"$program" man --directory "$directory/$name/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" > "$directory/$name/completions/broker.$shell"
done
tar --directory "$directory" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --use-compress-program='gzip -n' --create --file "$directory/$name.tar.gz" "$name"
rm -r "${directory:?}/$name"
(cd "$directory" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
