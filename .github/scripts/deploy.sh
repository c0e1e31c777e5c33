#!/usr/bin/env bash
# Deploys the pushed digests to an environment, validates, and goes back to what ran before when any of it
# fails (scripts/deploy/deploy.sh does that).
#
#   .github/scripts/deploy.sh ENVIRONMENT TAG [IMAGES]
#
# IMAGES is SPEAKR_DIST/images.env. The report is SPEAKR_DIST/reports/deploy-ENVIRONMENT.txt, and on the run's page.
# The digests that an environment has passed with are in SPEAKR_DIST/passed-ENVIRONMENT.env; production takes no
# others than staging passed with (SPEAKR_AFTER names that environment).
# Ends as scripts/deploy/deploy.sh: 0 in place, 1 failed and taken back, 2 nothing changed, 3 going back failed too.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need kubectl jq

environment=${1:?deploy.sh takes ENVIRONMENT TAG [IMAGES]}
tag=${2:?deploy.sh takes ENVIRONMENT TAG [IMAGES]}
images=${3:-$DIST/images.env}
need_tag "$tag"
[ -s "$images" ] || die "there is no list of images $images: .github/scripts/push-images.sh makes it."
if [ -n "${SPEAKR_AFTER:-}" ]; then
    cmp -s "$images" "$DIST/passed-$SPEAKR_AFTER.env" ||
        die "$environment takes only what $SPEAKR_AFTER ran: $DIST/passed-$SPEAKR_AFTER.env is missing, or has other digests than $images."
fi
mkdir -p "$DIST/reports"
report=$DIST/reports/deploy-$environment.txt
rm -f "$report" "$DIST/passed-$environment.env"

SPEAKR_SMOKE=$ROOT/.github/scripts/validate.sh
export SPEAKR_SMOKE
code=0
# A workflow that is cancelled sends SIGINT to this script too: what it called goes back, and is waited for.
scripts/deploy/deploy.sh "$environment" --images "$images" --report "$report" --what "$tag" &
deploying=$!
trap 'say "Interrupted: going back to what ran before …"; kill -TERM "$deploying" 2>/dev/null || true' INT TERM
while :; do
    code=0
    wait "$deploying" || code=$?
    # A trap ends "wait"; the deployment goes on.
    kill -0 "$deploying" 2>/dev/null || break
done
trap - INT TERM
case $code in
0) cp "$images" "$DIST/passed-$environment.env" ;;
1) say "error: $tag failed in $environment, and what ran before runs again." ;;
2) say "error: $tag was not begun in $environment, and nothing was changed." ;;
*) say "error: $tag failed in $environment, and so did going back: docs/runbook.md, \"A release that can't be taken back\"." ;;
esac
if [ -s "$report" ]; then summary "## $environment: $tag" "" '```' "$(cat "$report")" '```'; fi
exit "$code"
