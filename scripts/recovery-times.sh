#!/usr/bin/env bash
# How long it takes to make backups of a platform with many recordings, and to make it again from them, on this machine:
# a table, which docs/operations.md has.
#
#   scripts/recovery-times.sh [RECORDINGS]
#
# RECORDINGS (1000) of two minutes are put into the store as if somebody had spoken them, and a minute of sound sixty times
# onto the bus.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1:-} in
-h | --help)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit
    ;;
*[!0-9]*) die "recovery-times.sh takes a number of recordings, not \"$1\"." ;;
esac
export SPEAKR_RECOVERY_RECORDINGS=${1:-1000}
exec scripts/test.sh --run-ignored only --no-capture -E 'binary(recovery_times)'
