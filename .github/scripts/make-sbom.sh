#!/usr/bin/env bash
# Writes down what is in each image: SPEAKR_DIST/sbom/NAME.cdx.json (CycloneDX).
#
#   .github/scripts/make-sbom.sh
#
# Programs tell their crates themselves (they are built by cargo-auditable); one that doesn't is an error, because
# its list would be empty and look clean.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need syft jq

export SYFT_CHECK_FOR_APP_UPDATE=false
rm -rf "$DIST/sbom"
mkdir -p "$DIST/sbom"
built_images | while read -r name; do
    sbom=$DIST/sbom/$name.cdx.json
    syft scan --quiet --source-name "$name" --output "cyclonedx-json=$sbom" "docker-archive:$DIST/images/$name.tar" </dev/null ||
        die "syft can't read $DIST/images/$name.tar; its message is above."
    crates=$(jq '[.components[]? | select(.purl // "" | startswith("pkg:cargo/"))] | length' "$sbom")
    case $name in
    speakr-transcriber | speakr-embedder | speakr-query-svc | speakr-validate)
        [ "$crates" -gt 0 ] || die "the program in $name doesn't tell what it was built from (no list of crates in it): build it with cargo-auditable."
        ;;
    esac
    say "  $name: $(jq '.components | length' "$sbom") components, of which $crates crates"
done
