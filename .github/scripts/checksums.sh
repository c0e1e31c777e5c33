#!/usr/bin/env bash
# Writes SHA256SUMS over the archives of SPEAKR_DIST/cli, its signature, and what attests where they come from.
#
#   .github/scripts/checksums.sh TAG
#
# With the archives go the install scripts and the list of the images' digests, so that one signature covers all
# of the release. A signature that holds already stays.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=.github/scripts/cosign.sh
. "$(dirname "${BASH_SOURCE[0]}")/cosign.sh"
help_if_asked "$@"
need cosign jq

tag=${1:?checksums.sh takes a TAG}
version=${tag#v}
cd "$DIST/cli" || die "there are no archives in $DIST/cli: .github/scripts/build-cli.sh makes them."
missing=""
for target in $CLI_TARGETS; do
    archive=$(archive_of "$version" "$target")
    [ -s "$archive" ] || missing="$missing $archive"
done
[ -z "$missing" ] || die "these archives are missing in $DIST/cli:$missing"
# They know the repository that they come from.
repository=${GITHUB_REPOSITORY:?names the repository, as owner/name}
for script in install.sh install.ps1; do sed "s#@REPOSITORY@#$repository#" "$ROOT/scripts/$script" >"$script"; done
chmod 755 install.sh
if [ -s "$DIST/images.env" ]; then cp "$DIST/images.env" "speakr-$version-images.env"; fi

(for file in speakr-"$version"-* install.sh install.ps1; do
    case $file in *.sigstore.json) continue ;; esac
    if has sha256sum; then sha256sum "$file"; else shasum -a 256 "$file"; fi
done) | sed 's/  */  /' | sort -k 2 >SHA256SUMS.new
prepare_cosign
if ! cmp -s SHA256SUMS.new SHA256SUMS || ! cosign verify-blob "${VERIFY[@]}" --bundle SHA256SUMS.sigstore.json SHA256SUMS >/dev/null 2>&1; then
    mv SHA256SUMS.new SHA256SUMS
    again cosign sign-blob --yes "${SIGN[@]}" --bundle SHA256SUMS.sigstore.json SHA256SUMS >/dev/null || die "SHA256SUMS can't be signed; cosign's message is above."
fi
rm -f SHA256SUMS.new
cosign verify-blob "${VERIFY[@]}" --bundle SHA256SUMS.sigstore.json SHA256SUMS >/dev/null 2>&1 || die "the signature of SHA256SUMS doesn't hold."

"$ROOT/.github/scripts/provenance.sh" "$tag" >"$DIST/provenance.json"
for file in speakr-"$version"-*.tar.gz speakr-"$version"-*.zip; do
    again cosign attest-blob --yes "${SIGN[@]}" --type slsaprovenance1 --predicate "$DIST/provenance.json" \
        --bundle "$file.provenance.sigstore.json" "$file" >/dev/null || die "where $file comes from can't be attested."
done
cat SHA256SUMS
