#!/usr/bin/env bash
# Starts the whole platform on this machine, every part of it real, until Ctrl-C: the bus with the
# shipped users, PostgreSQL with pgvector, an S3 server, and the three services.
#
# SPEAKR_UP_FOLDER is where .speakr/up.env is written (the project's folder where it isn't set), SPEAKR_UP_DATA where
# everything is kept: with both, one platform runs beside another. Ports are whatever is free.

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
cd "${SPEAKR_UP_FOLDER:-$ROOT}"
exec "$TARGET_DIR/debug/speakr-up"
