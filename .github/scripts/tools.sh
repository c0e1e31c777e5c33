#!/usr/bin/env bash
# Makes sure that programs of a release are here, and puts their folder on the search path of the later steps.
#
#   .github/scripts/tools.sh PROGRAM…
#
# What is here already is used. Else Nix makes all of them, of the versions that flake.lock pins
# (.#release-tools); without Nix, scripts/tools.sh gets those that it knows. What only tests take (kubeconform,
# otelcol-contrib) comes from the same nixpkgs.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

# The packages of programs that no release takes.
package_of() {
    case $1 in
    kubeconform) echo kubeconform ;;
    otelcol-contrib) echo opentelemetry-collector-contrib ;;
    esac
}
made_by_nix() { nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths "$@"; }

missing=()
for program in "$@"; do
    has "$program" && continue
    package=$(package_of "$program")
    if [ -n "$package" ]; then
        has nix || die "$program isn't here, and Nix isn't, which makes it."
        path_later "$(made_by_nix --inputs-from . "nixpkgs#$package")/bin"
    else
        missing+=("$program")
    fi
done
if [ "${#missing[@]}" = 0 ]; then
    :
elif has nix; then
    path_later "$(made_by_nix .#release-tools)/bin"
else
    for program in "${missing[@]}"; do
        case $program in cargo-audit) tool=audit ;; *) tool=$program ;; esac
        path_later "$(scripts/tools.sh "$tool")"
    done
fi
for program in "$@"; do has "$program" || die "$program isn't among the tools that were made: nix/release-tools.nix lists them."; done
