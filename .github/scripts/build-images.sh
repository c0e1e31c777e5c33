#!/usr/bin/env bash
# Builds every image of a release through the Makefile, as files that nothing has seen yet.
#
#   .github/scripts/build-images.sh
#
# 'make images' builds them with Nix into SPEAKR_DIST/images: the three services, speakr-validate, and what the manifests need beside them.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

rm -rf "$DIST/images"
make --no-print-directory images IMAGES_DIR="$DIST/images"
for service in speakr-transcriber speakr-embedder speakr-query-svc speakr-validate; do
    [ -s "$DIST/images/$service.tar" ] || die "'make images' made no $service.tar in $DIST/images."
done
(cd "$DIST/images" && ls -l ./*.tar) >&2
