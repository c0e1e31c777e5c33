#!/usr/bin/env bash
# After a deployment that failed or was cancelled: waits until it has gone back, and does so itself where it was killed.
#
#   .github/scripts/recover.sh ENVIRONMENT
#
# Does nothing when the last deployment ended by itself.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

environment=${1:?recover.sh takes an ENVIRONMENT}
mkdir -p "$DIST/reports"
report=$DIST/reports/recover-$environment.txt
code=0
scripts/deploy/recover.sh "$environment" --report "$report" || code=$?
if [ -s "$report" ]; then summary "## $environment: cleaned up" "" '```' "$(cat "$report")" '```'; fi
exit "$code"
