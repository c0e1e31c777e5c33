#!/usr/bin/env bash
# The steps of .github/workflows/release.yml one after the other, in the checkout that this is called in, for a rehearsal without a
# runner of workflows. The name of the step that runs is in STAGE_FILE. That the steps are the same is seen to by same_steps.py.
#
#   scripts/release/pipeline.sh TAG
set -euo pipefail

tag=${1:?pipeline.sh takes a TAG}
: "${REHEARSAL:?}" "${STAGE_FILE:?}"
s=.github/scripts
stage() {
    printf '%s' "$1" >"$STAGE_FILE"
    printf '\n######## %s\n' "$1" >&2
}
# The job's token says which environment it is of.
in_environment() { export ACTIONS_ID_TOKEN_REQUEST_URL="$GITHUB_API/token?environment=$1"; }
# What the job "sign-in" puts into the environment of later steps.
signed_in() {
    GITHUB_ENV=$REHEARSAL/env
    export GITHUB_ENV
    : >"$GITHUB_ENV"
    "$s/sign-in.sh" "$1"
    set -a
    # shellcheck disable=SC1090
    . "$GITHUB_ENV"
    set +a
    unset GITHUB_ENV
}

stage check
"$s/check-tag.sh" "$tag"
stage test
make test
make lint
stage build-images
"$s/build-images.sh"
stage sbom
"$s/make-sbom.sh"
stage scan
"$s/scan-images.sh"
stage push
in_environment release
signed_in registries
"$s/push-images.sh" "$tag"
stage start
"$s/start-test.sh"
stage sign
"$s/sign-images.sh" "$tag"
"$s/build-validate.sh"
stage cli
for target in x86_64-linux-musl x86_64-linux-musl-baseline aarch64-linux-musl x86_64-windows x86_64-darwin aarch64-darwin; do "$s/build-cli.sh" "$target"; done
stage draft
"$s/checksums.sh" "$tag"
"$s/draft-release.sh" "$tag"
for environment in staging prod; do
    stage "$environment"
    in_environment "$environment"
    signed_in cluster
    if [ "$environment" = prod ]; then export SPEAKR_AFTER=staging; fi
    code=0
    "$s/deploy.sh" "$environment" "$tag" || code=$?
    if [ "$code" != 0 ]; then
        "$s/recover.sh" "$environment" || true
        exit "$code"
    fi
done
stage promote
in_environment release
signed_in registries
"$s/promote.sh" "$tag"
stage "published"
