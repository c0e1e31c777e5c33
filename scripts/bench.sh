#!/usr/bin/env bash
# Measures accuracy, search and the index with the release build.
#
#   scripts/bench.sh              all of them; speech from SPEAKR_SPEECH_DIR, else the bundled clips
#   scripts/bench.sh COMMAND …    one of them: see "scripts/bench.sh --help"

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh demo
step "Building the program and the bench (release)"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --release --workspace --bins
bench=$TARGET_DIR/release/speakr-bench

if [ "$#" -gt 0 ]; then
    exec "$bench" "$@"
fi
failed=""
step "Word error rate, as files and live"
"$bench" accuracy --speech "${SPEAKR_SPEECH_DIR:-$ROOT/assets/speech}" || failed="$failed accuracy"
step "Found in other words"
"$bench" recall || failed="$failed recall"
step "A large index"
"$bench" index || failed="$failed index"
[ -z "$failed" ] || die "not reached:$failed."
