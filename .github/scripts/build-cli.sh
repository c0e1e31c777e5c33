#!/usr/bin/env bash
# Builds the command-line program for one system and puts it, with all that belongs to it, into an archive.
#
#   .github/scripts/build-cli.sh TARGET
#
# TARGET is one of x86_64-linux-musl, x86_64-linux-musl-baseline (for processors without AVX2), aarch64-linux-musl,
# x86_64-windows (all built on x86-64 Linux), x86_64-darwin and aarch64-darwin (each on its own kind of Mac). The program is
# the flake's package of that name, as its checks have let it through. The archive is in SPEAKR_DIST/cli.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need nix python3

target=${1:?build-cli.sh takes a TARGET}
case " $CLI_TARGETS " in *" $target "*) ;; *) die "speakr is built for ${CLI_TARGETS// /, }, not for \"$target\"." ;; esac
output=speakr-$target
name=speakr
case $target in
*-windows) name=speakr.exe ;;
*-darwin) need codesign ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT

nix_build() { nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths "$@"; }
step "Building .#$output"
built=$(nix_build ".#$output")
cp "$built/bin/$name" "$work/$name"
chmod 755 "$work/$name"
step "Looking at it"
# Nix has signed it, by a tool of its own; what macOS thinks of that, macOS says.
case $target in *-darwin) codesign --verify --strict "$work/$name" || die "macOS doesn't accept the signature of $target's speakr." ;; esac
# Nix has looked for its own folders; these are the runner's.
sh nix/check-paths.sh --alone "$work/$name" "$ROOT" "${CARGO_HOME:-$HOME/.cargo}" >&2
step "Building .#$output.notices"
notices=$(nix_build ".#$output.notices")

# Its completions and its manual are told by a speakr that runs here.
native=$work/$name
case $target in
x86_64-linux-musl | x86_64-linux-musl-baseline | *-darwin) ;;
*) native=$(nix_build .#speakr-x86_64-linux-musl)/bin/speakr ;;
esac
step "Packing"
.github/scripts/package-cli.sh "$target" "$work/$name" "$native" "$notices"
