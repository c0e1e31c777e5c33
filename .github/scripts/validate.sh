#!/usr/bin/env bash
# Whether what was just deployed is worth to stay: the smoke test, then the validation suite at its harmless level, with the
# archives of the release where SPEAKR_DIST/cli has them and their SHA256SUMS.
#
#   .github/scripts/validate.sh ENVIRONMENT
#
# scripts/deploy/deploy.sh calls it (SPEAKR_SMOKE) and takes its exit code. SPEAKR_API_URL is where the API is (the cluster's fact API_URL
# where it isn't set); SPEAKR_API_TOKEN, or a file named by SPEAKR_API_TOKEN_FILE, is a token of scopes read, write and transcribe;
# SPEAKR_VALIDATE is the program speakr-validate where it is neither in SPEAKR_DIST/bin, on the search path, nor in target/. Without the program this fails:
# a release that nobody validated isn't validated.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

environment=${1:?validate.sh takes an ENVIRONMENT}
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-validate.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "${SPEAKR_API_TOKEN_FILE:-}" ] && [ -n "${SPEAKR_API_TOKEN:-}" ]; then
    (umask 077 && printf '%s' "$SPEAKR_API_TOKEN" >"$work/token")
    export SPEAKR_API_TOKEN_FILE=$work/token
fi
unset SPEAKR_API_TOKEN
validate=${SPEAKR_VALIDATE:-}
# An artefact of a workflow has lost its permissions.
if [ -f "$DIST/bin/speakr-validate" ]; then chmod 755 "$DIST/bin/speakr-validate"; fi
for program in "$DIST/bin/speakr-validate" "$(command -v speakr-validate || true)" "$TARGET_DIR/release/speakr-validate" "$TARGET_DIR/debug/speakr-validate"; do
    if [ -z "$validate" ] && [ -x "$program" ]; then validate=$program; fi
done
[ -x "$validate" ] || die "there is no speakr-validate here (SPEAKR_VALIDATE, the search path, target/): 'nix build .#speakr-validate' or 'cargo build --package speakr-e2e --bin speakr-validate' makes it."
SPEAKR_API_URL=${SPEAKR_API_URL:-$(kubectl --namespace speakr get configmap speakr-environment -o jsonpath='{.data.API_URL}')}
[ -n "$SPEAKR_API_URL" ] || die "where the API of $environment is isn't known: set SPEAKR_API_URL, or the fact API_URL of the cluster."
export SPEAKR_API_URL

scripts/deploy/smoke.sh "$environment"
mkdir -p "$DIST/reports"
options=(--level smoke --environment "$environment" --url "$SPEAKR_API_URL")
if [ -s "$DIST/cli/SHA256SUMS" ]; then options+=(--release "$DIST/cli"); fi
if [ -n "${SPEAKR_API_TOKEN_FILE:-}" ]; then options+=(--token-file "$SPEAKR_API_TOKEN_FILE"); fi
"$validate" "${options[@]}" --report junit >"$DIST/reports/validate-$environment.xml" || {
    code=$?
    grep -E '<(failure|error)' "$DIST/reports/validate-$environment.xml" | sed -n 1,10p >&2 || true
    die "speakr-validate found faults in $environment (it ended with $code); $DIST/reports/validate-$environment.xml has all of it."
}
say "  validated: $(grep -c '<testcase' "$DIST/reports/validate-$environment.xml" || true) checks"

# … and from inside, as a Job of the release that is in place.
scripts/deploy/validate-in-cluster.sh "$environment" --junit "$DIST/reports/validate-$environment-inside.xml" ||
    die "speakr-validate found faults in $environment from inside (it ended with $?)."
