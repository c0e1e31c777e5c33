#!/usr/bin/env bash
# The platform in use for a long time, of which one part after the other is killed at random moments:
# whether anything that was said is lost, or there twice. Arguments go to speakr-soak: see --help.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh test
bin=$(scripts/tools.sh nats):$(scripts/tools.sh postgres):$(scripts/tools.sh s3)
PATH=$bin:$PATH
export PATH
step "Building the services"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bins
exec "$TARGET_DIR/debug/speakr-soak" "$@"
