#!/usr/bin/env bash
# Validates a platform (docs/validation.md): the one of "make up" by .speakr/up.env (in SPEAKR_UP_FOLDER, as for
# scripts/up.sh), unless SPEAKR_API_URL names another.
#
#   scripts/validate.sh [OPTIONS OF speakr-validate]

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
step "Building speakr-validate"
# The whole workspace, as everything else here: another choice of crates would compile dependencies anew.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bins
if [ -z "${SPEAKR_API_URL:-}" ]; then
    known=${SPEAKR_UP_FOLDER:-$ROOT}/.speakr/up.env
    [ -r "$known" ] || die "no platform is known: 'make up' starts one here, or SPEAKR_API_URL names one."
    # shellcheck source=/dev/null
    . "$known"
    # What holds the secrets of this platform, and what makes its tokens.
    set -- --secret-file "$known" --token-command "$TARGET_DIR/debug/speakr-query-svc token" "$@"
fi
step "Validating $SPEAKR_API_URL"
exec "$TARGET_DIR/debug/speakr-validate" --source "$ROOT" "$@"
