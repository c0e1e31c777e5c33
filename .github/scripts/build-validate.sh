#!/usr/bin/env bash
# Builds the validation suite (speakr-validate) into SPEAKR_DIST/bin, for the jobs that deploy.
#
#   .github/scripts/build-validate.sh

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need nix

built=$(nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths .#speakr-validate-static)
mkdir -p "$DIST/bin"
cp -f "$built/bin/speakr-validate" "$DIST/bin/speakr-validate"
chmod 755 "$DIST/bin/speakr-validate"
say "  $DIST/bin/speakr-validate"
