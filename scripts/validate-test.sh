#!/usr/bin/env bash
# The tests of speakr-validate that take minutes, or Prometheus: with logs, traces, services that are stopped, a load, a release,
# backups that are restored, alerts that reach somebody. 'make test' leaves them out. Arguments go to cargo-nextest.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh validate
if [ "$(uname -s)" = Darwin ]; then
    say "Left out: alerts, because Homebrew's Alertmanager has another name and another layout"
    SPEAKR_TEST_SKIP=${SPEAKR_TEST_SKIP:+$SPEAKR_TEST_SKIP,}prometheus-alertmanager
    export SPEAKR_TEST_SKIP
fi
exec scripts/test.sh --run-ignored only -E 'binary(validate_full)' "$@"
