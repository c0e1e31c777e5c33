# shellcheck shell=sh
# Does the program hold a path of the machine that built it? Such a path tells of that machine, and makes other bits on
# another one.
#
#   check-paths.sh [--alone] PROGRAM [FOLDER…]
#
# Folders in which Nix builds are looked for anyway, each FOLDER too. --alone: the program runs where there is no Nix, so
# a path of its store counts as well. Not counted: sources of Rust's own library, which nixpkgs' rustc brings along and which
# are the same everywhere, and a store path without its hash, which points to nothing.
set -eu
# Bytes, and no text of some language.
export LC_ALL=C
alone=""
if [ "$1" = --alone ]; then
    alone=1
    shift
fi
program=$1
shift
rest='[[:alnum:]_./+@-]*'

# All in PROGRAM that matches $1.
matches() { grep -aoE "$1$rest" "$program" || [ $? = 1 ]; }
paths() {
    matches "(/build/source|/nix/var/nix/builds|/tmp/nix-build-)"
    if [ -n "$alone" ]; then matches "/nix/store/[0-9a-z]{32}-"; fi
    for folder in "$@"; do
        # As it is written, whatever it means in a pattern.
        matches "$(printf '%s' "${folder%/}" | sed 's/[][\.*^$+?(){}|]/\\&/g')/"
    done
}
all=$(paths "$@")
found=$(printf '%s\n' "$all" | grep -vE '^$|/rustc-[^/]*-src/|/nix/store/e{32}-' | sort -u) || found=""
if [ -n "$found" ]; then
    printf '%s\n' "$found" | sed -n '1,10s/^/  /p' >&2
    echo "error: $program tells where it was built, by the paths above (of $(printf '%s\n' "$found" | wc -l | tr -d ' '))." >&2
    exit 1
fi
echo "$program doesn't tell where it was built."
