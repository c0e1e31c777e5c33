#!/usr/bin/env bash
# Validates and tests one root or module of the copy in WORK: scripts/infra-test.sh runs it for each.

set -euo pipefail
module=$1
log=$WORK/$(printf '%s' "$module" | tr / -).log
cd "$WORK/terraform/$module"

fail() {
    # In one piece, for another module may be speaking too.
    printf '%s\n%s: %s\n' "$(tail -n 80 "$log")" "$module" "$1" >&2
    exit 1
}

terraform init -backend=false -no-color >"$log" 2>&1 || fail "init failed"
terraform validate -no-color >>"$log" 2>&1 || fail "isn't valid"
terraform test -no-color >>"$log" 2>&1 || fail "a test failed"
# A runner that finds no test succeeds too.
result=$(sed -nE 's/^Success! ([0-9]+) passed, 0 failed\.$/\1/p' "$log")
[ "${result:-0}" -gt 0 ] || fail "no test ran"
printf '%-24s valid, %s passed\n' "$module" "$result"
