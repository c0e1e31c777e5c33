#!/usr/bin/env bash
# The end of a release, when all of it has held: it is published, and "latest" moves, last of all.
#
#   .github/scripts/promote.sh TAG
#
# Takes the digests that production passed with (SPEAKR_DIST/passed-prod.env; SPEAKR_PASSED names another environment). "latest" is
# moved in every registry or in none: where one fails, those before get back what they had. A pre-release, and a version that is older
# than the newest published one, don't move it.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need gh crane jq

tag=${1:?promote.sh takes a TAG}
is_version_tag "$tag" || die "\"$tag\" is no version."
need_registries
passed=$DIST/passed-${SPEAKR_PASSED:-prod}.env
cmp -s "$passed" "$DIST/images.env" ||
    die "the digests of $DIST/images.env haven't passed: $passed is missing, or has others."
for registry in "${REGISTRIES[@]}"; do
    while IFS=$'\t' read -r name digest; do
        [ "$(digest_at "$registry/$name:$tag" || true)" = "$digest" ] || die "$registry/$name:$tag isn't what passed ($digest)."
    done < <(pushed_images)
done

state=$(.github/scripts/release-state.sh "$tag") || exit 1
latest=true
if is_prerelease "$tag"; then latest=false; fi
listed=$(again gh release list --exclude-drafts --exclude-pre-releases --limit 100 --json tagName --jq '.[].tagName') ||
    die "which releases are published can't be told, and so not whether $tag is the newest; GitHub's message is above. Run this again: nothing has moved."
# Of a first release there is none.
newest=$(grep -E '^v[0-9.]+$' <<<"$listed" | sed 's/^v//' | sort -t . -k 1,1n -k 2,2n -k 3,3n | tail -n 1) || newest=""
if [ -n "$newest" ] && [ "$latest" = true ] && ! at_least "${tag#v}" "$newest"; then
    say "$tag is older than v$newest: \"latest\" stays there."
    latest=false
fi
case $state in
none) die "there is no draft of $tag: .github/scripts/draft-release.sh makes it." ;;
draft)
    step "Publishing $tag"
    again gh release edit "$tag" --draft=false --latest="$latest" >&2 || die "the draft of $tag can't be published. Run this again; \"latest\" hasn't moved."
    ;;
published) say "$tag is published already." ;;
esac
[ "$latest" = true ] || exit 0

step "latest"
moved=()
back() {
    local it reference before
    for it in ${moved[@]+"${moved[@]}"}; do
        reference=${it%%=*}
        before=${it#*=}
        # The first release had none before: then there is nothing to go back to.
        [ -n "$before" ] || continue
        crane_at tag "$reference" "${reference%:latest}@$before" latest || say "error: $reference couldn't be put back to $before."
    done
}
for registry in "${REGISTRIES[@]}"; do
    while IFS=$'\t' read -r name digest; do
        code=0
        before=$(digest_at "$registry/$name:latest") || code=$?
        if [ "$code" -ge 2 ]; then
            back
            die "\"latest\" hasn't moved. Run this again: $tag is published, and this is the last step."
        fi
        [ "$before" != "$digest" ] || continue
        if ! again crane_at tag "$registry" "$registry/$name@$digest" latest </dev/null; then
            back
            die "$registry/$name can't be tagged latest: those before it were put back. Run this again: $tag is published, and this is the last step."
        fi
        moved+=("$registry/$name:latest=$before")
    done < <(pushed_images)
done
say "\"latest\" is $tag in ${#REGISTRIES[@]} registries."
summary "## $tag is published, and \"latest\" is $tag"
