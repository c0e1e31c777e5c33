#!/usr/bin/env bash
# What a deployment would change, as the cluster itself works it out. Nothing is changed.
#
#   scripts/deploy/diff.sh ENVIRONMENT [--images FILE]
#
# Ends with 0 when nothing would change, with 1 when something would, with 2 when it can't be told.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

die() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

environment=${1:-}
images=""
if [ "${2:-}" = --images ]; then images=${3:-}; elif [ $# -gt 1 ]; then die "diff.sh takes ENVIRONMENT [--images FILE]."; fi
need_tools
need_environment "$environment"
PHASE=before
make_work
before=$(last_release good)
if [ -n "$before" ]; then manifest_of_release "$before" "$WORK/before.yaml"; else : >"$WORK/before.yaml"; fi
if [ -z "$images" ]; then
    [ -n "$before" ] || die "no release is recorded in this cluster: name the images with --images."
    images=$WORK/images.env
    images_of "$WORK/before.yaml" | sed 's#^\(.*/\)\{0,1\}\([^/@]*\)@.*#\2=&#' >"$images"
fi
render "$environment" "$images" "$WORK/new.yaml"

result=0
# Jobs are made anew by every deployment.
documents "$WORK/new.yaml" not Job | k diff --server-side --force-conflicts --field-manager="$MANAGER" --filename - || result=$?
[ "$result" -le 1 ] || die "the cluster can't work it out; kubectl's message is above."
objects "$WORK/before.yaml" | sort >"$WORK/had"
objects "$WORK/new.yaml" | sort >"$WORK/has"
gone=$(comm -23 "$WORK/had" "$WORK/has")
if [ -n "$gone" ]; then
    printf 'These would be removed:\n%s\n' "$gone"
    result=1
fi
PHASE=
exit "$result"
