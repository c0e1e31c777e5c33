#!/usr/bin/env bash
# Signs the pushed digests and attests what is in them (SBOM) and where they come from (SLSA provenance).
#
#   .github/scripts/sign-images.sh TAG
#
# In a workflow with the permission id-token this is keyless: the certificate says which workflow of which repository it was.
# SPEAKR_COSIGN_KEY names a key (a file, or what else cosign knows, as awskms:///…) to use in its place;
# its public half is then what is verified with, and no public log is written. What is signed already isn't signed again.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=.github/scripts/cosign.sh
. "$(dirname "${BASH_SOURCE[0]}")/cosign.sh"
help_if_asked "$@"
need cosign jq

tag=${1:?sign-images.sh takes a TAG}
need_tag "$tag"
need_registries
prepare_cosign
mkdir -p "$DIST/provenance"

for registry in "${REGISTRIES[@]}"; do
    options=()
    [ -z "$(insecure_for "$registry")" ] || options=(--allow-http-registry)
    while IFS=$'\t' read -r name digest; do
        reference=$registry/$name@$digest
        sbom=$DIST/sbom/$name.cdx.json
        [ -s "$sbom" ] || die "there is no $sbom: .github/scripts/make-sbom.sh makes it."
        provenance=$DIST/provenance/$name.json
        .github/scripts/provenance.sh "$tag" >"$provenance"
        signed() { cosign verify "${VERIFY[@]}" ${options[@]+"${options[@]}"} "$reference" >/dev/null 2>&1; }
        attested() { cosign verify-attestation "${VERIFY[@]}" ${options[@]+"${options[@]}"} --type "$1" "$reference" >/dev/null 2>&1; }
        attest() { again cosign attest --yes "${SIGN[@]}" ${options[@]+"${options[@]}"} --type "$1" --predicate "$2" "$reference" >&2; }
        signed || again cosign sign --yes "${SIGN[@]}" ${options[@]+"${options[@]}"} "$reference" >&2 || die "$reference can't be signed; cosign's message is above."
        attested cyclonedx || attest cyclonedx "$sbom" || die "the list of what is in $reference can't be attested."
        attested slsaprovenance1 || attest slsaprovenance1 "$provenance" || die "where $reference comes from can't be attested."
        # What isn't verified isn't signed.
        if ! signed || ! attested cyclonedx || ! attested slsaprovenance1; then die "$reference was signed, and the signature can't be verified."; fi
        say "  $reference: signed, SBOM and provenance attested, verified"
    done < <(pushed_images)
done
