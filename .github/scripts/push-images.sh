#!/usr/bin/env bash
# Pushes the scanned images to every registry, by digest, and then gives them the tag. "latest" isn't touched.
#
#   .github/scripts/push-images.sh TAG
#
# TAG is a version (v1.2.3) or a build of main (main-COMMIT). No image gets its tag before all images are in all registries of
# SPEAKR_REGISTRIES: a registry that fails in the middle leaves manifests without a name, and nothing half-published. A tag
# that is there already with the same digest is left; with another one it is an error, because a version is what it is.
# Writes SPEAKR_DIST/digests.tsv and images.env (what scripts/deploy/deploy.sh takes).

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need crane

tag=${1:?push-images.sh takes a TAG}
need_tag "$tag"
need_registries
for name in $(built_images); do
    [ -s "$DIST/reports/scan-$name.json" ] || die "$name was not scanned: .github/scripts/scan-images.sh comes before."
done

: >"$DIST/digests.tsv"
step "Digests"
for name in $(built_images); do
    digest=$(crane digest --tarball "$DIST/images/$name.tar") || die "$DIST/images/$name.tar is no image that crane reads."
    printf '%s\t%s\n' "$name" "$digest" | tee -a "$DIST/digests.tsv" >&2
done

step "Whether $tag is free"
taken=""
for registry in "${REGISTRIES[@]}"; do
    while IFS=$'\t' read -r name digest; do
        code=0
        there=$(digest_at "$registry/$name:$tag") || code=$?
        [ "$code" -le 1 ] || exit 1
        if [ -n "$there" ] && [ "$there" != "$digest" ]; then taken="$taken
  - $registry/$name:$tag is $there, and what was built is $digest"; fi
    done < <(pushed_images)
done
[ -z "$taken" ] || die "$tag is published with other content:$taken
A version isn't changed after it was published: release the next one. (Builds that differ from themselves: nix build --rebuild.)"

step "Pushing by digest"
for registry in "${REGISTRIES[@]}"; do
    while IFS=$'\t' read -r name digest; do
        if [ -n "$(digest_at "$registry/$name@$digest" || true)" ]; then
            say "  $registry/$name@$digest is there"
            continue
        fi
        again crane_at push "$registry" "$DIST/images/$name.tar" "$registry/$name@$digest" >/dev/null </dev/null ||
            die "$registry/$name@$digest can't be pushed; crane's message is above. No image has got the tag $tag."
        say "  $registry/$name@$digest"
    done < <(pushed_images)
done

step "The tag $tag"
for registry in "${REGISTRIES[@]}"; do
    while IFS=$'\t' read -r name digest; do
        [ "$(digest_at "$registry/$name:$tag" || true)" != "$digest" ] || continue
        again crane_at tag "$registry" "$registry/$name@$digest" "$tag" </dev/null ||
            die "$registry/$name can't be tagged $tag; crane's message is above. Run this again: what has the tag keeps it."
    done < <(pushed_images)
done

: >"$DIST/images.env"
pushed_images | while IFS=$'\t' read -r name digest; do
    printf '%s=%s/%s@%s\n' "$name" "${REGISTRIES[0]}" "$name" "$digest" >>"$DIST/images.env"
done
summary "## Images of $tag" "" '```' "$(cat "$DIST/images.env")" '```'
cat "$DIST/images.env"
