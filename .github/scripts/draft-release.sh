#!/usr/bin/env bash
# Makes the draft of a release on GitHub and fills it; nobody else sees it.
#
#   .github/scripts/draft-release.sh TAG
#
# A draft that is there is filled again. A release that is published already is left as it is, and has to have the same
# files: else this ends with an error, because what people have downloaded isn't changed under its name.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need gh jq

tag=${1:?draft-release.sh takes a TAG}
is_version_tag "$tag" || die "\"$tag\" is no version."
cd "$DIST/cli" || die "there are no archives in $DIST/cli."
[ -s SHA256SUMS ] && [ -s SHA256SUMS.sigstore.json ] || die "there is no signed SHA256SUMS: .github/scripts/checksums.sh makes it."
# Nothing goes up that isn't what was signed.
if has sha256sum; then sha256sum --quiet --check SHA256SUMS >&2; else shasum -a 256 --check SHA256SUMS >&2; fi || die "an archive isn't what SHA256SUMS says."
notes=$(mktemp "${TMPDIR:-/tmp}/speakr-notes.XXXXXX")
trap 'rm -f "$notes"' EXIT
"$ROOT/.github/scripts/release-notes.sh" "${tag#v}" >"$notes"
files=(SHA256SUMS SHA256SUMS.sigstore.json install.sh install.ps1)
for file in speakr-"${tag#v}"-*; do files+=("$file"); done

state=$("$ROOT/.github/scripts/release-state.sh" "$tag") || exit 1
if [ "$state" = published ]; then
    gh release download "$tag" --pattern SHA256SUMS --output - 2>/dev/null | cmp -s - SHA256SUMS ||
        die "$tag is published with other files than these: release the next version."
    say "$tag is published already, with these files."
    exit 0
fi
options=(--title "speakr ${tag#v}" --notes-file "$notes")
if is_prerelease "$tag"; then options+=(--prerelease); fi
if [ "$state" = none ]; then
    again gh release create "$tag" --draft --verify-tag "${options[@]}" >&2 || die "GitHub takes no draft of $tag; its message is above."
else
    again gh release edit "$tag" --draft "${options[@]}" >&2 || die "the draft of $tag can't be changed; GitHub's message is above."
fi
for file in "${files[@]}"; do
    again gh release upload "$tag" --clobber "$file" >&2 || die "$file can't be put on the draft of $tag. Run this again: it starts anew."
done
# What GitHub has is what is here, by its own digests.
gh release view "$tag" --json assets --jq '.assets[] | "\(.name)\t\(.size)"' | sort >"$notes.there"
for file in "${files[@]}"; do printf '%s\t%s\n' "$file" "$(wc -c <"$file" | tr -d ' ')"; done | sort >"$notes.here"
there=$(comm -13 "$notes.there" "$notes.here")
rm -f "$notes.there" "$notes.here"
[ -z "$there" ] || die "the draft of $tag doesn't have these as they are here: $there"
say "The draft of $tag has ${#files[@]} files."
