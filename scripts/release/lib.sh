# shellcheck shell=bash
# shellcheck disable=SC2034  # some of it is for who reads this file
# A place to rehearse releases in: a repository with a remote, two registries, a small GitHub, databases of holes, a key
# to sign with. Read after common.sh and checks.sh.

start_rehearsal() {
    REHEARSAL=$(mktemp -d "${TMPDIR:-/tmp}/speakr-release.XXXXXX")
    export REHEARSAL
    started=()
    trap end_rehearsal EXIT
    programs=${SPEAKR_PROGRAMS:-$TARGET_DIR/debug}
    export SPEAKR_PROGRAMS=$programs
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    HOME=$REHEARSAL/home
    mkdir -p "$HOME" "$REHEARSAL/programs" "$REHEARSAL/store" "$REHEARSAL/logs"
    export HOME
    git config --global user.name rehearsal
    git config --global user.email rehearsal@localhost
    git config --global init.defaultBranch main
    git config --global advice.detachedHead false
}

end_rehearsal() {
    local it
    for it in ${started[@]+"${started[@]}"}; do kill "$it" 2>/dev/null || true; done
    for it in "$REHEARSAL"/containers/running/*/pid; do
        if [ -e "$it" ]; then kill -KILL -- "-$(cat "$it")" 2>/dev/null || true; fi
    done
    if [ -n "${SPEAKR_KEEP_WORK:-}" ]; then say "What the rehearsal made is in $REHEARSAL."; else rm -rf "$REHEARSAL"; fi
}
in_background() {
    local name=$1
    shift
    "$@" >"$REHEARSAL/logs/$name.log" 2>&1 </dev/null &
    started+=("$!")
}

# ---- what stands in for others

prepare_programs() {
    local package
    for package in speakr-transcriber speakr-embedder speakr-query-svc; do
        python3 scripts/release/carry_crates.py "$package" "$programs/$package" "$REHEARSAL/programs/$package"
    done
    python3 scripts/release/carry_crates.py speakr-e2e "$programs/speakr-validate" "$REHEARSAL/programs/speakr-validate"
    strip -o "$REHEARSAL/programs/speakr" "$programs/speakr"
    scripts/k8s/images.sh "$REHEARSAL/programs" "$REHEARSAL/layouts" >"$REHEARSAL/logs/images.log"
    rm -rf "$REHEARSAL/layouts/.stripped"
    IMAGES=$(cut -d= -f1 "$REHEARSAL/logs/images.log" | tr '\n' ' ')
}

# Images go to two places, of which clusters pull from the first. One server has both.
start_registry() {
    mkdir -p "$REHEARSAL/registry"
    in_background registry crane registry serve --address 127.0.0.1:5001 --disk "$REHEARSAL/registry"
    in_background gate python3 scripts/release/registry_gate.py 5000 5001 "$REHEARSAL"
    within 30 "a registry answers" curl --silent --fail http://127.0.0.1:5000/v2/
    export SPEAKR_REGISTRIES="127.0.0.1:5000/example 127.0.0.1:5000/other"
}

start_github() {
    in_background github python3 scripts/release/github.py "$REHEARSAL"
    within 30 "a small GitHub answers" test -s "$REHEARSAL/github.port"
    local port
    port=$(cat "$REHEARSAL/github.port")
    cat /etc/ssl/certs/ca-certificates.crt "$REHEARSAL/github.pem" >"$REHEARSAL/authorities.pem" 2>/dev/null || cp "$REHEARSAL/github.pem" "$REHEARSAL/authorities.pem"
    export GITHUB_API=https://127.0.0.1:$port GH_HOST=127.0.0.1:$port GH_REPO=127.0.0.1:$port/example/speakr
    export GH_ENTERPRISE_TOKEN=rehearsal GITHUB_TOKEN=rehearsal GITHUB_REPOSITORY=example/speakr
    export SSL_CERT_FILE=$REHEARSAL/authorities.pem CURL_CA_BUNDLE=$REHEARSAL/authorities.pem
    export ACTIONS_ID_TOKEN_REQUEST_TOKEN=rehearsal ACTIONS_ID_TOKEN_REQUEST_URL="$GITHUB_API/token?environment=release"
    export AWS_REGION=eu-central-1 AWS_ROLE=arn:aws:iam::111122223333:role/rehearsal CLUSTER_NAME=rehearsal
}

make_databases() {
    scripts/release/grype_db.py "$REHEARSAL/holes-none" CVE-2026-00001 rust-crate no-such-crate 1.0.0 CRITICAL
    scripts/release/grype_db.py "$REHEARSAL/holes-critical" CVE-2026-00002 rust-crate serde_json 99.0.0 CRITICAL
    advisory_db "$REHEARSAL/advisories-none" no-such-crate
    advisory_db "$REHEARSAL/advisories-one" tokio
    # Of the command-line program alone, and of no system that anything is built for here.
    advisory_db "$REHEARSAL/advisories-windows" windows-native-keyring-store
    export GRYPE_DB_CACHE_DIR=$REHEARSAL/holes-none GRYPE_DB_AUTO_UPDATE=false GRYPE_DB_VALIDATE_AGE=false
    export SPEAKR_ADVISORY_DB=$REHEARSAL/advisories-none
}
# RustSec's form: an advisory a file.
advisory_db() {
    mkdir -p "$1/crates/$2"
    # shellcheck disable=SC2016  # it is Markdown
    printf '```toml\n[advisory]\nid = "RUSTSEC-2026-9999"\npackage = "%s"\ndate = "2026-01-01"\ncvss = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"\n\n[versions]\npatched = [">= 99.0.0"]\n```\n\n# Planted\n\nFor a rehearsal.\n' "$2" \
        >"$1/crates/$2/RUSTSEC-2026-9999.md"
    git -C "$1" init --quiet && git -C "$1" add . && git -C "$1" commit --quiet --message planted
}

make_key() {
    export COSIGN_PASSWORD=rehearsal
    (cd "$REHEARSAL" && cosign generate-key-pair 2>/dev/null) || die "cosign makes no key."
    export SPEAKR_COSIGN_KEY=$REHEARSAL/cosign.key SPEAKR_COSIGN_PUBLIC_KEY=$REHEARSAL/cosign.pub
}

# ---- the repository

# What is checked out here, as a repository of its own with a remote. "make test" and "make lint" are shortened: they run
# by themselves, and here it matters what becomes of a release when they fail. Both environments are the manifests
# for a cluster without AWS.
make_repository() {
    source=$REHEARSAL/source
    mkdir -p "$source"
    git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create --ignore-failed-read 2>/dev/null | tar --extract --directory "$source"
    printf '#!/usr/bin/env bash\n[ ! -e failing-test ] || { echo "test a_planted_one ... FAILED"; exit 1; }\necho "1 test passed"\n' >"$source/scripts/test.sh"
    printf '#!/usr/bin/env bash\nbash -n .github/scripts/*.sh\n' >"$source/scripts/lint.sh"
    rm -rf "$source"/k8s/overlays/{staging,prod}
    for environment in staging prod; do
        cp -R "$source/k8s/overlays/dev-in-cluster" "$source/k8s/overlays/$environment"
    done
    if [ ! -d "$REHEARSAL/layouts/speakr-otel-collector" ]; then
        # Nobody could build its image here: left out.
        for environment in staging prod; do
            # shellcheck disable=SC2016  # it is kustomize's
            printf 'patches:\n  - patch: |\n      $patch: delete\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata:\n        name: speakr-otel-collector\n' \
                >>"$source/k8s/overlays/$environment/kustomization.yaml"
        done
    fi
    git init --quiet --bare "$REHEARSAL/remote.git"
    git -C "$source" init --quiet
    git -C "$source" add --all
    git -C "$source" commit --quiet --message "chore: what is released"
    git -C "$source" remote add origin "$REHEARSAL/remote.git"
    git -C "$source" push --quiet origin main
    git -C "$source" tag start
}

# new_release VERSION [CHANGE…]: a commit that releases VERSION, and a tag on it, both at the remote. Each CHANGE is a command that runs
# in the repository before the commit.
new_release() {
    local version=$1 change
    shift
    # What the version before was built into and unpacked to, two gigabytes: nothing asks for it again.
    rm -rf "$REHEARSAL"/store/* "$REHEARSAL"/containers/images/*
    git -C "$source" checkout --quiet -B main start
    python3 - "$source" "$version" <<'P'
import re, sys
folder, version = sys.argv[1:]
path = folder + "/Cargo.toml"
text = open(path, encoding="utf-8").read()
open(path, "w", encoding="utf-8").write(re.sub(r'(\[workspace\.package\]\nversion = ")[^"]*', r"\g<1>" + version, text))
path = folder + "/Cargo.lock"
blocks = open(path, encoding="utf-8").read().split("\n\n")
# Crates of the workspace have no source.
blocks = [re.sub(r'\nversion = "[^"]*"', f'\nversion = "{version}"', b) if b.startswith("[[package]]") and "\nsource = " not in b and 'name = "speakr' in b else b for b in blocks]
open(path, "w", encoding="utf-8").write("\n\n".join(blocks))
path = folder + "/compose.yaml"
text = open(path, encoding="utf-8").read()
open(path, "w", encoding="utf-8").write(re.sub(r"(SPEAKR_VERSION:-)[^}]*", r"\g<1>" + version, text))
path = folder + "/CHANGELOG.md"
text = open(path, encoding="utf-8").read()
open(path, "w", encoding="utf-8").write(text.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - 2026-11-28\n", 1))
P
    git -C "$source" tag --delete "v$version" >/dev/null 2>&1 || true
    (cd "$source" && scripts/keep-contract.sh) || die "the contract of $version can't be kept."
    for change in "$@"; do (cd "$source" && eval "$change") || die "the change \"$change\" can't be made."; done
    git -C "$source" add --all
    git -C "$source" commit --quiet --message "chore: release $version"
    git -C "$source" tag --force "v$version" >/dev/null
    git -C "$source" push --quiet --force origin main "v$version"
}

# ---- a run

# What runs before this one have built, a gigabyte each; what they reported stays.
forget_built() { find "$REHEARSAL"/run-*/target/dist -mindepth 1 -maxdepth 1 ! -name reports -exec rm -rf {} + 2>/dev/null || true; }

# release TAG: what pushing TAG starts. CODE is what it ended with, STAGE the step that ran last, LOG what was said. A second run of the same tag has
# a checkout of its own too.
release() {
    local tag=$1 checkout
    RUNS=$((${RUNS:-0} + 1))
    checkout=$REHEARSAL/run-$RUNS
    LOG=$REHEARSAL/logs/run-$RUNS-$tag.log
    forget_built
    git clone --quiet "$REHEARSAL/remote.git" "$checkout"
    git -C "$checkout" checkout --quiet "$tag"
    CODE=0
    STAGE_FILE=$REHEARSAL/stage
    export STAGE_FILE
    (
        cd "$checkout" || exit
        # Nothing of ours leaks into it but what a runner gives: the cluster is known by signing in.
        unset CARGO_TARGET_DIR KUBECONFIG
        SPEAKR_API_URL=http://speakr-query-svc.speakr.svc.cluster.local:8080 GITHUB_REF=refs/tags/$tag SPEAKR_RETRY_PAUSE=1 SPEAKR_ROLLOUT_TIMEOUT=${ROLLOUT_TIMEOUT:-300} SPEAKR_DEPLOY_PATIENCE=10 \
            SPEAKR_API_TOKEN_FILE=${TOKEN_FILE:-} exec env --default-signal=INT "$ROOT/scripts/release/pipeline.sh" "$tag"
    ) >"$LOG" 2>&1 </dev/null &
    RUN_PID=$!
    if [ -n "${MEANWHILE:-}" ]; then "$MEANWHILE" "$RUN_PID" || true; fi
    wait "$RUN_PID" || CODE=$?
    STAGE=$(cat "$STAGE_FILE")
}

# ---- what is published

digest_of() { crane digest --insecure "$1" 2>/dev/null || true; }
# Images that have TAG, with the registry where not all of them have it; the digest that each has under TAG, and as "latest", in
# each registry; the state of a release.
tagged() {
    local name registry there
    for name in $IMAGES; do
        there=""
        for registry in $SPEAKR_REGISTRIES; do
            if [ -n "$(digest_of "$registry/$name:$1")" ]; then there="$there$registry "; fi
        done
        if [ "$there" = "$SPEAKR_REGISTRIES " ]; then printf '%s ' "$name"; elif [ -n "$there" ]; then printf '%s(only %s) ' "$name" "${there% }"; fi
    done
}
digests_of() {
    local name registry
    for registry in $SPEAKR_REGISTRIES; do
        for name in $IMAGES; do printf '%s=%s ' "$registry/$name" "$(digest_of "$registry/$name:$1")"; done
    done
}
latest() { digests_of latest; }
state_of() { .github/scripts/release-state.sh "$1"; }
serving() {
    [ -n "${KUBECONFIG:-}" ] || return 0
    kubectl --namespace speakr get deployments -o json 2>/dev/null | jq -r '.items[] | "\(.metadata.name) \(.spec.template.spec.containers[0].image)"' | sort
}
ready() {
    [ -n "${KUBECONFIG:-}" ] || return 0
    kubectl --namespace speakr get deployments,statefulsets -o json | jq -e '[.items[] | select((.status.availableReplicas // 0) < .spec.replicas)] == []' >/dev/null
}

# The state of the world, to be compared with afterwards.
remember() {
    LATEST=$(latest)
    SERVING=$(serving)
    PUBLISHED=$(published)
}
published() { jq -r '[.releases[] | select(.draft | not) | .tag_name] | sort | join(" ")' "$REHEARSAL/github.json"; }

# fault NAME STAGE PATTERN TAG [TAGGED]: the run ended in STAGE, said why, and published nothing: no release, "latest" where it was, what served
# before serves. TAGGED says whether images had their version's tag by then ("none", "all"); with "published" the release itself is
# out and serves, and "latest" alone is where it was.
fault() {
    local name=$1 stage=$2 pattern=$3 tag=$4 tags=${5:-none} why
    if [ "$CODE" = 0 ]; then fail "$name: the release went through"; return; fi
    equal "$name: it ends in" "$stage" "$STAGE"
    if grep -Eq -- "$pattern" "$LOG"; then
        why=$(grep -E -- "$pattern" "$LOG" | sed -n 1p | sed 's/^ *//; s/^error: //')
        pass "$name: it says why"
    else
        why="?"
        fail "$name: it doesn't say why ($pattern)" "$(end_of_log)"
    fi
    case $tags in
    none) equal "$name: images that have its tag" "" "$(tagged "$tag")" ;;
    *) equal "$name: images that have its tag" "$IMAGES" "$(tagged "$tag")" ;;
    esac
    if [ "$(latest)" = "$LATEST" ]; then pass "$name: latest is where it was"; else fail "$name: latest has moved" "$(latest)"; fi
    if [ "$tags" = published ]; then
        equal "$name: its state on GitHub" published "$(state_of "$tag")"
    else
        equal "$name: published releases" "$PUBLISHED" "$(published)"
        if [ "$(serving)" = "$SERVING" ]; then pass "$name: what served before serves"; else fail "$name: something else serves" "$(serving)"; fi
    fi
    if [ -n "${KUBECONFIG:-}" ] && [ -n "$SERVING" ]; then within 60 "$name: and is ready" ready; fi
    row "$name" "$stage" "$why" "$tags"
}
# The end of what the run said; of the job that failed, where several speak at once.
end_of_log() {
    if [ -n "$STAGE" ] && grep -F "[release/$STAGE" "$LOG" >"$LOG.job"; then tail -n 40 "$LOG.job"; else tail -n 25 "$LOG"; fi
}
# A line of the table of faults.
row() {
    local published=nothing
    case $4 in
    all) published="pushed, signed where it came so far; no release, no \`latest\`" ;;
    published) published="all but \`latest\`, which is where it was in both registries" ;;
    esac
    printf '| %s | %s | %s | %s |\n' "$1" "$2" "$(printf '%s' "$3" | sed "s#$REHEARSAL#…#g; s/|/\\\\|/g" | cut -c1-200)" "$published" >>"$TABLE"
}
