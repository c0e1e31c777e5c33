#!/usr/bin/env bash
# Builds the release binary for this machine and prints where it is.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh build
step "Building the release binary"
cargo build --release --package speakr
echo "$TARGET_DIR/release/speakr"
