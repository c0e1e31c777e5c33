#!/usr/bin/env bash
# What GitHub has of a release: prints none, draft or published.
#
#   .github/scripts/release-state.sh TAG

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need gh

tag=${1:?release-state.sh takes a TAG}
if said=$(gh release view "$tag" --json isDraft --jq 'if .isDraft then "draft" else "published" end' 2>&1); then
    printf '%s\n' "$said"
    exit
fi
case $said in
*"release not found"*) echo none ;;
*) die "whether there is a release $tag can't be told: $said" ;;
esac
