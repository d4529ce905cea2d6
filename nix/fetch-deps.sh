#!/usr/bin/env bash
# Puts ts/'s production dependencies, as the lock file has them, into a new directory: the same bytes on every
# system, whatever npm, umask and clock it was made with.
#
#   fetch-deps.sh DIRECTORY_WITH_LOCK_FILE OUT
set -euo pipefail
lock=$1 out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Without what only development needs: npm looks at all platforms' variants of that even where it omits it.
node - "$lock" "$work" << 'EOF'
const { readFileSync, writeFileSync } = require('node:fs');
const [, , from, to] = process.argv;
const read = (name) => JSON.parse(readFileSync(`${from}/${name}`, 'utf8'));
const write = (name, value) => writeFileSync(`${to}/${name}`, JSON.stringify(value));
const { name, version, dependencies } = read('package.json');
const lock = read('package-lock.json');
const packages = Object.entries(lock.packages).filter(([, { dev, devOptional }]) => !dev && !devOptional);
for (const [path, { os, cpu, libc }] of packages) {
  if (os ?? cpu ?? libc) throw new Error(`${path} is for some systems only: the hash would not be the same on all`);
}
write('package.json', { name, version, dependencies });
write('package-lock.json', {
  ...lock,
  packages: { ...Object.fromEntries(packages), '': { name, version, dependencies } },
});
EOF
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --no-progress --no-update-notifier --loglevel=error >&2)
# npm's own notes and links differ between its versions, and nothing here is executed.
rm -rf "$work/node_modules/.package-lock.json" "$work/node_modules/.bin"
find "$work/node_modules" -name .bin -type d -prune -exec rm -rf {} +
find "$work/node_modules" -type f -exec chmod 644 {} +
mkdir "$out"
cp -R "$work/node_modules" "$out"
