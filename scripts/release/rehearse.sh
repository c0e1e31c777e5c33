#!/usr/bin/env bash
# The rehearsal itself, in a network of its own (scripts/release-test.sh starts it there).
#
#   scripts/release/rehearse.sh [faults] [cluster] [act] [--table]

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"
# shellcheck source=scripts/release/lib.sh
. "$ROOT/scripts/release/lib.sh"
# shellcheck source=scripts/release/cluster.sh
. "$ROOT/scripts/release/cluster.sh"
# shellcheck source=scripts/release/act.sh
. "$ROOT/scripts/release/act.sh"

# Puts the rows of this run into the table of docs/release.md: each in the place of the row of that name, or below the one that
# came before it here. Rows of parts that this run left out stay.
write_table() {
    python3 - "$TABLE" docs/release.md <<'P'
import sys

# What was cut to a length may end within a letter.
with open(sys.argv[1], encoding="utf-8", errors="ignore") as table:
    rows = table.read().splitlines()
with open(sys.argv[2], encoding="utf-8") as document:
    before, rest = document.read().split("<!-- faults -->\n")
kept, after = rest.split("<!-- /faults -->\n")
head, kept = kept.splitlines()[:2], kept.splitlines()[2:]
place = 0
for row in rows:
    name = row.split(" | ")[0]
    names = [line.split(" | ")[0] for line in kept]
    if name in names:
        place = names.index(name)
        kept[place] = row
    else:
        kept.insert(place, row)
    place += 1
with open(sys.argv[2], "w", encoding="utf-8") as document:
    document.write("\n".join([before + "<!-- faults -->", *head, *kept, "<!-- /faults -->\n"]) + after)
P
    say "Wrote the table of docs/release.md."
}

wanted() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac }
parts=" $* "

start_rehearsal
TABLE=$REHEARSAL/table.md
: >"$TABLE"
step "A place to rehearse in"
prepare_programs
start_registry
start_github
make_databases
make_key
make_repository

# ---- what stops before anything is built

if wanted cluster || wanted act; then
    prepare_cluster
    first_release
    second_release
fi

if wanted faults; then
    step "A tag that isn't one"
    remember
    new_release 0.3.0 "sed -i 's/^version = \"0.3.0\"/version = \"0.3.1\"/' Cargo.toml"
    release v0.3.0
    fault "tag ≠ version" check "Cargo.toml has version 0.3.1" v0.3.0
    new_release 0.3.2 "sed -i 's/^## \[Unreleased\]/&\n\n- something that nobody has sorted/' CHANGELOG.md"
    release v0.3.2
    fault "dirty changelog" check "lines under \"Unreleased\"" v0.3.2
    new_release 0.3.3 "sed -i '/^## \[0.3.3\]/d' CHANGELOG.md"
    release v0.3.3
    fault "no section in the changelog" check "no section" v0.3.3
    new_release 0.3.6 "rm -r crates/contract/released/0.3.6"
    release v0.3.6
    fault "contract not kept" check "crates/contract/released/0.3.6 isn't there" v0.3.6
    new_release 0.3.7 "sed -i 's/SPEAKR_VERSION:-0.3.7/SPEAKR_VERSION:-0.3.6/' compose.yaml"
    release v0.3.7
    fault "compose.yaml of another version" check "compose.yaml has images of" v0.3.7
    new_release 0.3.4
    git -C "$source" push --quiet --force origin start:main
    release v0.3.4
    fault "a commit that isn't part of main" check "isn't part of origin/main" v0.3.4
    new_release 0.3.5 "touch failing-test"
    release v0.3.5
    fault "failing test" test "a_planted_one ... FAILED" v0.3.5

    step "Holes"
    new_release 0.4.0
    GRYPE_DB_CACHE_DIR=$REHEARSAL/holes-critical release v0.4.0
    fault "critical CVE in an image" scan "CVE-2026-00002 in serde_json" v0.4.0
    SPEAKR_ADVISORY_DB=$REHEARSAL/advisories-one release v0.4.0
    fault "advisory against a crate" scan "speakr-query-svc: RUSTSEC-2026-9999 in tokio" v0.4.0
    SPEAKR_ADVISORY_DB=$REHEARSAL/advisories-windows release v0.4.0
    fault "advisory against a crate of the program for Windows" scan "Cargo.lock: RUSTSEC-2026-9999 in windows-native-keyring-store" v0.4.0
    GRYPE_DB_CACHE_DIR=$REHEARSAL/no-such-folder release v0.4.0
    fault "missing scan database" scan "grype has no database" v0.4.0
    SPEAKR_ADVISORY_DB=$REHEARSAL/no-such-folder release v0.4.0
    fault "missing advisory database" scan "no copy of RustSec's database" v0.4.0
    mkdir "$REHEARSAL/silent"
    printf '#!/bin/sh\nexit 0\n' >"$REHEARSAL/silent/grype"
    chmod 755 "$REHEARSAL/silent/grype"
    PATH=$REHEARSAL/silent:$PATH release v0.4.0
    fault "scanner that says nothing" scan "speakr-query-svc .grype." v0.4.0

    step "Signing in to a registry of AWS"
    ecr=111122223333.dkr.ecr.eu-central-1.amazonaws.com
    check "as the role of the environment" env SPEAKR_REGISTRIES="$SPEAKR_REGISTRIES $ecr" .github/scripts/sign-in.sh registries
    check "… and crane knows it then" grep -F "\"$ecr\":" "$HOME/.docker/config.json"

    step "A registry that fails in the middle"
    # The second: all of the first has been pushed by then.
    echo '^/v2/other/speakr-query-svc/manifests' >"$REHEARSAL/registry.fails"
    release v0.4.0
    fault "registry fails in the middle" push "No image has got the tag" v0.4.0
    rm "$REHEARSAL/registry.fails"

    step "An image that won't start"
    new_release 0.4.1 "echo 'speakr-query-svc /usr/bin/speakr-query-svc --no-such-option' >rehearsal.txt"
    release v0.4.1
    fault "image that won't start" start "started and ended at once" v0.4.1 all
    new_release 0.4.2 "echo 'speakr-embedder /usr/bin/speakr-embedder --no-such-option' >rehearsal.txt"
    SPEAKR_START_PATIENCE=15 release v0.4.2
    fault "image whose migration won't run" start "the migration fails" v0.4.2 all
    new_release 0.4.3 "echo 'speakr-nats /usr/bin/nats-server --no-such-option' >rehearsal.txt"
    release v0.4.3
    fault "bus that won't start" start "nats started and ended at once" v0.4.3 all

    step "GitHub that fails"
    new_release 0.4.4
    touch "$REHEARSAL/github.down"
    release v0.4.4
    rm "$REHEARSAL/github.down"
    # It signs in with GitHub's token; here only releases and tokens are asked of it.
    fault "GitHub fails" draft "can't be told" v0.4.4 all
fi
if wanted cluster; then cluster_faults; fi
if wanted act; then act_part; fi

step "Faults and outcomes"
cat "$TABLE" >&2
case $parts in *--table*) if [ "${#FAILED[@]}" = 0 ]; then write_table; fi ;; esac
tell_checks "A rehearsal of releases"
