#!/usr/bin/env bash
# Looks for known holes in every image and every crate, before anything is pushed. A critical one stops the release, and so does
# a database that is missing or too old: what wasn't looked at isn't clean.
#
#   .github/scripts/scan-images.sh
#
# grype reads the images; cargo-audit reads our own programs in them, which carry the list of their crates, and Cargo.lock, from
# which the command-line program is built for every system. RustSec's database comes from its repository, or is the folder
# SPEAKR_ADVISORY_DB. A finding of grype that doesn't concern us is named, with its reason and the date until which it holds, in
# .github/scan-exceptions.yaml.
# Reports are in SPEAKR_DIST/reports. Ends with 1: something critical; 2: it couldn't be told.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need grype cargo-audit jq python3 objcopy

export GRYPE_CHECK_FOR_APP_UPDATE=false
reports=$DIST/reports
mkdir -p "$reports"
rm -f "$reports"/scan-*
bad=()
unknown=()
today=$(date -u +%Y-%m-%d)
gone=$(sed -n 's/.*until: *\([0-9-]*\).*/\1/p' .github/scan-exceptions.yaml | awk -v today="$today" '$1 < today')
[ -z "$gone" ] || die ".github/scan-exceptions.yaml has exceptions that have run out ($(printf '%s' "$gone" | tr '\n' ' ')): look at them again."

# The same database for all of them.
if [ "${GRYPE_DB_AUTO_UPDATE:-true}" != false ]; then again grype db update >&2 || true; fi
grype db status >&2 || {
    say "error: grype has no database that holds: 'grype db update' gets one. Nothing was scanned."
    exit 2
}
for name in $(built_images); do
    report=$reports/scan-$name.json
    if ! grype --quiet --config .github/scan-exceptions.yaml --output json --file "$report" "docker-archive:$DIST/images/$name.tar" ||
        ! jq -es 'length == 1 and (.[0].matches | type == "array")' "$report" >/dev/null; then
        unknown+=("$name (grype)")
        continue
    fi
    critical=$(jq -r '[.matches[] | select(.vulnerability.severity == "Critical")
        | "\(.vulnerability.id) in \(.artifact.name) \(.artifact.version)"] | unique | join("; ")' "$report")
    say "  $name: $(jq -r '[.matches[].vulnerability.severity] | group_by(.) | map("\(length) \(.[0])") | join(", ") | if . == "" then "nothing known" else . end' "$report")"
    [ -z "$critical" ] || bad+=("$name: $critical")
done

# What the crates are known for: by RustSec's database.
database=${SPEAKR_ADVISORY_DB:-}
options=()
if [ -n "$database" ]; then
    [ -d "$database" ] || {
        say "error: there is no copy of RustSec's database in $database. Nothing was scanned with it."
        exit 2
    }
    options=(--db "$database" --no-fetch)
fi
programs=$(mktemp -d "${TMPDIR:-/tmp}/speakr-scan.XXXXXX")
trap 'rm -rf "$programs"' EXIT
# audit NAME ARGUMENTS…: any hole counts; "unmaintained" is a warning, and deny.toml has those.
audit() {
    local name=$1 report=$reports/scan-$1-crates.json code=0 found
    shift
    cargo-audit audit --json ${options[@]+"${options[@]}"} "$@" >"$report" 2>"$programs/said" || code=$?
    if ! jq -es 'length == 1 and .[0].lockfile["dependency-count"] > 0 and (.[0].vulnerabilities.list | type == "array")' "$report" >/dev/null 2>&1; then
        tail -n 3 "$programs/said" >&2
        unknown+=("$name (cargo-audit, ended with $code)")
        return
    fi
    found=$(jq -r '[.vulnerabilities.list[] | "\(.advisory.id) in \(.package.name) \(.package.version)"] | unique | join("; ")' "$report")
    say "  $name: ${found:-no advisory against its $(jq '.lockfile["dependency-count"]' "$report") crates}"
    [ -z "$found" ] || bad+=("$name: $found")
}
# The command-line program is built later, and elsewhere; what it is built from is known now. Tests' crates are among it.
audit Cargo.lock --file Cargo.lock
# The programs, as they are in the images.
for name in speakr-transcriber speakr-embedder speakr-query-svc speakr-validate; do
    .github/scripts/image-file.py "$DIST/images/$name.tar" "$programs/$name" >/dev/null || {
        unknown+=("$name (its program can't be taken out of the image)")
        continue
    }
    # The list of crates alone: cargo-audit reads no program of more than 100 MB. Without a list it would guess, so
    # that is an error here.
    if ! objcopy --only-section=.dep-v0 "$programs/$name" "$programs/$name.list" 2>"$programs/said" || [ "$(wc -c <"$programs/$name.list")" -lt 500 ]; then
        unknown+=("$name (its program has no list of its crates: it is to be built by cargo-auditable)")
        continue
    fi
    audit "$name" bin "$programs/$name.list"
done

if [ "${#unknown[@]}" -gt 0 ]; then
    say "error: these could not be scanned:"
    printf '  - %s\n' "${unknown[@]}" >&2
    exit 2
fi
if [ "${#bad[@]}" -gt 0 ]; then
    say "error: these holes stop the release:"
    printf '  - %s\n' "${bad[@]}" >&2
    summary "## The scan stops the release" "" "${bad[@]/#/- }"
    exit 1
fi
summary "The scan found nothing critical in $(built_images | wc -l | tr -d ' ') images, and no advisory against a crate of Cargo.lock."
