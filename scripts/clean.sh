#!/usr/bin/env bash
# Removes what was built and the demo's scratch folder; recordings elsewhere are left alone.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
cargo clean
rm -rf "$ROOT/.speakr/demo"
rmdir "$ROOT/.speakr" 2>/dev/null || true
