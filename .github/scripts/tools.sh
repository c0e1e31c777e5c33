#!/usr/bin/env bash
# Makes sure that programs of a release are here, and puts their folder on the search path of the later steps.
#
#   .github/scripts/tools.sh PROGRAM…
#
# What is here already is used. Else Nix makes all of them, of the versions that flake.lock pins
# (.#release-tools); without Nix, scripts/tools.sh gets those that it knows.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

missing=()
for program in "$@"; do has "$program" || missing+=("$program"); done
[ "${#missing[@]}" -gt 0 ] || exit 0
if has nix; then
    path_later "$(nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths .#release-tools)/bin"
else
    for program in "${missing[@]}"; do
        case $program in cargo-audit) tool=audit ;; *) tool=$program ;; esac
        path_later "$(scripts/tools.sh "$tool")"
    done
fi
for program in "$@"; do has "$program" || die "$program isn't among the tools that were made: nix/release-tools.nix lists them."; done
