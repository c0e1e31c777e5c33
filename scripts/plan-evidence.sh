#!/usr/bin/env bash
# Runs every evidence command of docs/plan.md again, and writes what it printed in its place.
#
#   scripts/plan-evidence.sh [--check] [--quick] [--form] [CRITERION...]    e.g. --check P3-DOC2
#
# --check changes nothing and fails where something differs; --quick leaves out what takes minutes; --form
# runs nothing, and looks only whether each criterion has its mark, its rationale and its evidence.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh tools
form_alone=""
for argument in "$@"; do if [ "$argument" = --form ]; then form_alone=1; fi; done
if [ -z "$form_alone" ]; then
    # Programs that were built, and tools that are here already: what a command lacks, it says.
    PATH=${SPEAKR_BIN_DIR:-$TARGET_DIR/debug}:$PATH
    for folder in "$TOOLS_DIR"/*/bin; do
        if [ -d "$folder" ]; then PATH=$PATH:$folder; fi
    done
    export PATH
fi
exec python3 scripts/docs/evidence.py "$@"
