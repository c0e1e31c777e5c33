#!/usr/bin/env bash
# Measures accuracy, speed and search with the release build. Arguments go to the bench.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh demo
step "Building the program and the bench (release)"
cargo build --release --workspace --bins
cargo run --release --quiet --package speakr-bench -- "$@"
