#!/usr/bin/env bash
# Runs the commands of the documents with the program that was built. Arguments: documents, in place of all.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh demo
scripts/setup.sh tools
folder=${SPEAKR_BIN_DIR:-$TARGET_DIR/debug}
[ -x "$folder/speakr" ] || die "there is no program $folder/speakr to run them with.
Build it ('cargo build --workspace --bins'), or name the folder of another by SPEAKR_BIN_DIR."
exec python3 scripts/docs/commands.py "$folder" "$@"
