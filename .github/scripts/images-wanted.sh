#!/usr/bin/env bash
# Tells whether the images are to be built: of every push, and of a pull request that touches what they are made of.
#
#   .github/scripts/images-wanted.sh
#
# Prints "wanted=true" or "wanted=false", for later steps too. A pull request is checked out as what it would be after the
# merge, together with what it is merged into (fetch-depth: 2).

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

made_of=(flake.nix flake.lock nix Cargo.toml Cargo.lock .cargo crates assets/models Makefile scripts/image-archives.sh)
wanted=true
if [ "${GITHUB_EVENT_NAME:-}" = pull_request ]; then
    git rev-parse --quiet --verify HEAD^2 >/dev/null || die "this is no merge: what the pull request touches can't be told."
    touched=$(git diff --name-only HEAD^1 HEAD -- "${made_of[@]}")
    if [ -z "$touched" ]; then wanted=false; else say "It touches: $(tr '\n' ' ' <<<"$touched")"; fi
fi
output wanted "$wanted"
