#!/usr/bin/env bash
# Checks that what the documents point at is there: links and their anchors, files and tests by name.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh tools
exec python3 scripts/docs/links.py
