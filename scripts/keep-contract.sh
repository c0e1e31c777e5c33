#!/usr/bin/env bash
# Keeps the contract's schemas as those of the version in Cargo.toml, which is about to be released: from then on
# a test compares every change with them (crates/contract/tests/growth.rs).
#
#   scripts/keep-contract.sh            copies crates/contract/schemas to crates/contract/released/VERSION
#   scripts/keep-contract.sh --check    only tells whether they are there and the same
#
# A version that precedes a release (1.2.3-rc.1) promises nothing, and nothing is kept of it.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=$(workspace_version)
[ -n "$version" ] || die "Cargo.toml has no version under [workspace.package]."
schemas=$ROOT/crates/contract/schemas
kept=$ROOT/crates/contract/released/$version

case $version in
*-*)
    say "Nothing is kept of $version: it precedes a release."
    exit 0
    ;;
esac
case ${1:-} in
--check)
    [ -d "$kept" ] || die "crates/contract/released/$version isn't there: run scripts/keep-contract.sh and commit what it writes."
    diff -r "$schemas" "$kept" >&2 ||
        die "crates/contract/released/$version isn't what crates/contract/schemas has: run scripts/keep-contract.sh and commit what it writes."
    ;;
"")
    # What has been released stays as it was released.
    if git -C "$ROOT" rev-parse --verify --quiet "refs/tags/v$version" >/dev/null; then
        die "v$version is tagged already, so its schemas stay as they are: set the next version in Cargo.toml."
    fi
    rm -rf "$kept"
    mkdir -p "$kept"
    cp "$schemas"/*.json "$kept/"
    say "Kept the contract's schemas in crates/contract/released/$version."
    ;;
*) die "keep-contract.sh takes nothing or --check, not \"$1\"." ;;
esac
