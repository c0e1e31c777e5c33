#!/usr/bin/env bash
# Whether a tag may become a release. Nothing is changed.
#
#   .github/scripts/check-tag.sh TAG
#
# The tag is a version (v1.2.3, v1.2.3-rc.1) and the one that Cargo.toml, Cargo.lock and the images of compose.yaml have;
# CHANGELOG.md has a section of it with a date and something in it, and nothing left under "Unreleased"; the contract's
# schemas are kept as this version's (scripts/keep-contract.sh); the tag is on the commit that is checked out, that commit is
# part of main (SPEAKR_MAIN, origin/main), and no file differs from it. All that is wrong is said at once.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

tag=${1:?check-tag.sh takes a TAG}
main=${SPEAKR_MAIN:-origin/main}
wrong=()

is_version_tag "$tag" || die "\"$tag\" is no version: a release is tagged v1.2.3 or v1.2.3-rc.1."
version=${tag#v}
[ "$version" = "$(workspace_version)" ] ||
    wrong+=("Cargo.toml has version $(workspace_version), and the tag says $version: set [workspace.package] version, and the same in compose.yaml, run 'cargo check', commit, tag that.")
# Cargo.lock names every crate of the workspace with its version, and no source.
locked=$(awk '/^\[\[package\]\]/ { name = version = "" } /^name = / { name = $3 } /^version = / { version = $3 }
    /^$/ { if (name == "\"speakr\"") { gsub(/"/, "", version); print version; exit } }' Cargo.lock)
[ "$locked" = "$version" ] ||
    wrong+=("Cargo.lock has speakr $locked: run 'cargo check' and commit Cargo.lock.")
# Every image there; what names another version, or none, shows as what it is.
composed=$(sed -n 's/^ *image: *[^:]*://p' compose.yaml | sort -u | tr '\n' ' ')
[ "$composed" = "\${SPEAKR_VERSION:-$version} " ] ||
    wrong+=("compose.yaml has images of ${composed% }, not of \${SPEAKR_VERSION:-$version}: set that version there.")

if ! grep -q "^## \[$version\]" CHANGELOG.md; then
    wrong+=("CHANGELOG.md has no section \"## [$version] - $(date -u +%Y-%m-%d)\": move what is under \"Unreleased\" there.")
elif ! grep -Eq "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md; then
    wrong+=("CHANGELOG.md's section of $version has no date: \"## [$version] - $(date -u +%Y-%m-%d)\".")
elif ! .github/scripts/release-notes.sh "$version" >/dev/null 2>&1; then
    wrong+=("CHANGELOG.md's section of $version says nothing.")
fi
# What is released now is what every later change is compared with.
kept=$(scripts/keep-contract.sh --check 2>&1) || wrong+=("the contract of $version isn't kept: $(printf '%s' "$kept" | tail -n 1)")
left=$(awk '/^## \[Unreleased\]/ { inside = 1; next } /^## / { inside = 0 } inside && NF && !/^###/' CHANGELOG.md)
[ -z "$left" ] || wrong+=("CHANGELOG.md has lines under \"Unreleased\" that belong to $version or to no release: ${left%%$'\n'*} …")

if [ "$(git rev-parse --is-inside-work-tree 2>/dev/null)" = true ]; then
    changed=$(git status --porcelain --untracked-files=no | sed -n 1,5p)
    [ -z "$changed" ] || wrong+=("the checkout differs from its commit: $(printf '%s' "$changed" | tr '\n' ';')")
    tagged=$(git rev-parse --verify --quiet "refs/tags/$tag^{commit}" || true)
    if [ -z "$tagged" ]; then
        wrong+=("there is no tag $tag in this clone (git fetch --tags).")
    elif [ "$tagged" != "$(git rev-parse HEAD)" ]; then
        wrong+=("$tag is on commit ${tagged:0:12}, and $(git rev-parse --short=12 HEAD) is checked out.")
    fi
    if ! git rev-parse --verify --quiet "$main" >/dev/null; then
        wrong+=("there is no $main here to see whether the tag is part of it (fetch it, or name another by SPEAKR_MAIN).")
    elif ! git merge-base --is-ancestor HEAD "$main"; then
        wrong+=("commit $(git rev-parse --short=12 HEAD) isn't part of $main: what is released was merged before.")
    fi
else
    wrong+=("this is no clone of the repository.")
fi

if [ "${#wrong[@]}" -gt 0 ]; then
    printf 'error: %s can'"'"'t be released:\n' "$tag" >&2
    printf '  - %s\n' "${wrong[@]}" >&2
    exit 1
fi
output tag "$tag"
output version "$version"
if is_prerelease "$version"; then output prerelease true; else output prerelease false; fi
output commit "$(git rev-parse HEAD)"
