#!/usr/bin/env bash
# Builds every program of the workspace into target/debug, as the tests do that drive them.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh build
# The whole workspace, as every build here: features resolve alike, and nothing is compiled twice.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bins
