#!/usr/bin/env bash
# Formats the Rust code.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
cargo fmt --all
