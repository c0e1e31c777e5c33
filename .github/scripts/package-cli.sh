#!/usr/bin/env bash
# Packs the command-line program with its manual, its completions and the licences of everything in it.
#
#   .github/scripts/package-cli.sh TARGET PROGRAM [NATIVE [NOTICES]]
#
# NATIVE is a speakr of the same version that runs here and tells completions and manual; PROGRAM itself where it isn't named.
# NOTICES is a folder of licences that the flake has collected (.#speakr-TARGET.notices). With it, the text of every
# licence has to be there; a try-out without it names some libraries alone.
# Writes SPEAKR_DIST/cli/speakr-VERSION-TARGET.tar.gz (.zip for Windows). The same input gives the same bytes.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need python3 cargo

target=${1:?package-cli.sh takes TARGET PROGRAM [NATIVE [NOTICES]]}
program=${2:?package-cli.sh takes TARGET PROGRAM [NATIVE [NOTICES]]}
native=${3:-$program}
notices=${4:-}
version=$(workspace_version)
[ -x "$native" ] || die "there is no program $native."
told=$("$native" --version) || die "$native doesn't run here, and completions and manual come from it."
[ "$told" = "speakr $version" ] || die "$native is \"$told\", and this is $version."

name=speakr-$version-$target
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-package.XXXXXX")
trap 'rm -rf "$work"' EXIT
folder=$work/$name
mkdir -p "$folder/completions" "$folder/man" "$folder/licences" "$DIST/cli"
case $target in *windows*) cp "$program" "$folder/speakr.exe" ;; *) cp "$program" "$folder/speakr" ;; esac
chmod 755 "$folder"/speakr*
export SPEAKR_HOME=$work/home SPEAKR_CONFIG=$work/none.toml
"$native" completions bash >"$folder/completions/speakr.bash"
"$native" completions zsh >"$folder/completions/_speakr"
"$native" completions fish >"$folder/completions/speakr.fish"
"$native" completions powershell >"$folder/completions/speakr.ps1"
"$native" completions elvish >"$folder/completions/speakr.elv"
"$native" man --output-dir "$folder/man" >/dev/null
cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$folder/"
cp docs/installation.md docs/cli.md docs/config.example.toml "$folder/"
case $target in
x86_64-linux-musl | x86_64-linux-musl-baseline) triple=x86_64-unknown-linux-musl ;;
aarch64-linux-musl) triple=aarch64-unknown-linux-musl ;;
x86_64-windows) triple=x86_64-pc-windows-gnu ;;
x86_64-darwin) triple=x86_64-apple-darwin ;;
aarch64-darwin) triple=aarch64-apple-darwin ;;
*) die "speakr isn't released for \"$target\"." ;;
esac
.github/scripts/licences.py "$triple" "$folder/licences" ${notices:+"$notices"}

archive=$DIST/cli/$(archive_of "$version" "$target")
# Of the commit's time, so that a second run makes the same.
.github/scripts/pack.py "$folder" "$archive" "$(git log -1 --format=%ct 2>/dev/null || echo 0)"
say "  $(basename "$archive"): $(find "$folder" -type f | wc -l | tr -d ' ') files, $(du -h "$archive" | cut -f1)"
printf '%s\n' "$archive"
