#!/usr/bin/env bash
# Builds the command-line program for one system and puts it, with all that belongs to it, into an archive.
#
#   .github/scripts/build-cli.sh TARGET
#
# TARGET is one of x86_64-linux-musl, aarch64-linux-musl, x86_64-windows (built on x86-64 Linux), x86_64-darwin and
# aarch64-darwin (each on its own kind of Mac). The archive is in SPEAKR_DIST/cli.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need nix python3

target=${1:?build-cli.sh takes a TARGET}
name=speakr
case $target in
x86_64-linux-musl | aarch64-linux-musl) output=speakr-$target ;;
x86_64-windows)
    output=speakr-$target
    name=speakr.exe
    ;;
x86_64-darwin | aarch64-darwin) output=speakr-unwrapped ;;
*) die "speakr is built for x86_64-linux-musl, aarch64-linux-musl, x86_64-windows, x86_64-darwin and aarch64-darwin, not for \"$target\"." ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT

nix_build() { nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths "$@"; }
step "Building .#$output"
built=$(nix_build ".#$output")
cp "$built/bin/$name" "$work/$name"
chmod 755 "$work/$name"
case $target in *-darwin) .github/scripts/relink-macos.sh "$work/$name" ;; esac

# Its completions and its manual are told by a speakr that runs here.
native=$work/$name
case $target in
x86_64-linux-musl | *-darwin) ;;
*) native=$(nix_build .#speakr-x86_64-linux-musl)/bin/speakr ;;
esac
step "Packing"
.github/scripts/package-cli.sh "$target" "$work/$name" "$native"
