#!/usr/bin/env bash
# Prints what nix/deps.json must say for the lock file at hand; with --write, writes it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nix/fetch-deps.sh ts "$work/out"
hash=$(nix --extra-experimental-features nix-command hash path "$work/out")
text=$(printf '{\n  "hash": "%s"\n}' "$hash")
if [ "${1-}" = --write ]; then printf '%s\n' "$text" > nix/deps.json; else printf '%s\n' "$text"; fi
