#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: the text of its release.
#
#   .github/scripts/release-notes.sh VERSION

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

version=${1:?release-notes.sh takes a VERSION}
version=${version#v}
notes=$(awk -v head="## [$version]" 'index($0, head) == 1 { inside = 1; next } /^## / || /^\[[^]]*\]: / { inside = 0 } inside' CHANGELOG.md |
    sed -e '/./,$!d')
[ -n "$(printf '%s' "$notes" | grep -v '^###' | tr -d '[:space:]')" ] ||
    die "CHANGELOG.md says nothing of $version."
printf '%s\n' "$notes"
