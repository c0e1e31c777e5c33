# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153  # some of it is of lib.sh
# The workflow file itself, run by act (https://nektosact.com). Read by rehearse.sh.

# The variables that a runner's job has here.
JOB_VARIABLES="REHEARSAL HOME PATH CARGO_HOME RUSTUP_HOME SPEAKR_PROGRAMS SPEAKR_COSIGN_KEY SPEAKR_COSIGN_PUBLIC_KEY COSIGN_PASSWORD
    GRYPE_DB_CACHE_DIR GRYPE_DB_AUTO_UPDATE GRYPE_DB_VALIDATE_AGE SPEAKR_ADVISORY_DB GH_HOST GH_ENTERPRISE_TOKEN SSL_CERT_FILE CURL_CA_BUNDLE
    ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN GITHUB_REPOSITORY GITHUB_REF GITHUB_REF_NAME GITHUB_REF_TYPE SPEAKR_API_TOKEN_FILE
    SPEAKR_RETRY_PAUSE SPEAKR_ROLLOUT_TIMEOUT SPEAKR_DEPLOY_PATIENCE TMPDIR"

# workflow TAG: what pushing TAG starts, by the workflow file. CODE, STAGE (the job that failed) and LOG as release() has them.
workflow() {
    local tag=$1 checkout variable action options=() jobs
    RUNS=$((${RUNS:-0} + 1))
    checkout=$REHEARSAL/run-$RUNS
    LOG=$REHEARSAL/logs/run-$RUNS-$tag-act.log
    git clone --quiet "$REHEARSAL/remote.git" "$checkout"
    git -C "$checkout" checkout --quiet "$tag"
    rm -rf "$REHEARSAL/artefacts"
    forget_built
    # Each action at the digest that the workflow names.
    while read -r action; do
        options+=(--local-repository "$action=$ROOT/scripts/release/actions/$(basename "${action%@*}")")
    done < <(sed -n 's/^ *- uses: \([^ ]*\).*/\1/p' "$checkout/.github/workflows/release.yml" | sort -u)
    CODE=0
    (
        cd "$checkout" || exit
        unset CARGO_TARGET_DIR KUBECONFIG
        export GITHUB_REF=refs/tags/$tag GITHUB_REF_NAME=$tag GITHUB_REF_TYPE=tag SPEAKR_API_TOKEN_FILE=${TOKEN_FILE:-}
        export SPEAKR_RETRY_PAUSE=1 SPEAKR_ROLLOUT_TIMEOUT=300 SPEAKR_DEPLOY_PATIENCE=10
        : >"$REHEARSAL/act.env"
        for variable in $JOB_VARIABLES; do
            if [ -n "${!variable:-}" ]; then printf '%s=%s\n' "$variable" "${!variable}" >>"$REHEARSAL/act.env"; fi
        done
        jq -n --arg ref "refs/tags/$tag" '{ref: $ref, repository: {full_name: "example/speakr", name: "speakr", owner: {login: "example"}, default_branch: "main"}}' >"$REHEARSAL/event.json"
        exec env --default-signal=INT act push --workflows .github/workflows/release.yml --eventpath "$REHEARSAL/event.json" \
            --platform ubuntu-24.04=-self-hosted --platform macos-15=-self-hosted --platform macos-15-intel=-self-hosted \
            --no-cache-server --no-skip-checkout --concurrent-jobs 1 --env-file "$REHEARSAL/act.env" --secret GITHUB_TOKEN=rehearsal \
            --var SPEAKR_REGISTRIES="$SPEAKR_REGISTRIES" --var AWS_REGION=eu-central-1 --var CLUSTER_NAME=rehearsal --var AWS_PUBLISH_ROLE="$AWS_ROLE" \
            --var AWS_DEPLOY_ROLE="$AWS_ROLE" --var SPEAKR_API_URL=http://speakr-query-svc.speakr.svc.cluster.local:8080 "${options[@]}"
    ) >"$LOG" 2>&1 </dev/null &
    RUN_PID=$!
    if [ -n "${MEANWHILE:-}" ]; then "$MEANWHILE" "$RUN_PID" || true; fi
    wait "$RUN_PID" || CODE=$?
    STAGE=$(sed -n 's/^\[release\/\([^]]*\)\].*Job failed.*/\1/p' "$LOG" | sed -n 1p | sed 's/ *$//')
    jobs=$(grep -c 'Job succeeded' "$LOG" || true)
    say "  act: ended with $CODE, $jobs jobs succeeded${STAGE:+, \"$STAGE\" failed}"
}

act_part() {
    step "The workflow itself, run by act: a good tag"
    local began=$SECONDS
    new_release 0.6.0
    workflow v0.6.0
    if [ "$CODE" = 0 ]; then pass "act: from tag to published in $((SECONDS - began)) s"; else fail "act: a good release ended with $CODE" "$(grep -v 'DEBUG\|^$' "$LOG" | tail -n 40)"; fi
    equal "act: jobs that succeeded" 13 "$(grep -c 'Job succeeded' "$LOG" || true)"
    equal "act: its images have its tag" "$IMAGES" "$(tagged v0.6.0)"
    equal "act: its state on GitHub" published "$(state_of v0.6.0)"
    is_latest "act: a good tag" v0.6.0
    check "act: the validation of prod has passed cli.checksums" validated "$REHEARSAL/artefacts/reports-prod/validate-prod.xml" cli checksums
    within 30 "act: what was said at the beginning is found" found_before

    step "The workflow under faults"
    remember
    new_release 0.6.1 "sed -i 's/^version = \"0.6.1\"/version = \"0.6.9\"/' Cargo.toml"
    workflow v0.6.1
    fault "act: tag ≠ version" "tag, version and changelog agree" "Cargo.toml has version 0.6.9" v0.6.1
    new_release 0.6.2 "touch failing-test"
    workflow v0.6.2
    fault "act: failing test" "tests and static checks" "a_planted_one ... FAILED" v0.6.2
    new_release 0.6.3
    refuse_labels
    workflow v0.6.3
    fault "act: failing validation" staging "speakr-validate found faults" v0.6.3 all
    take_labels
    # The cause is gone: the same tag again.
    workflow v0.6.3
    if [ "$CODE" = 0 ]; then pass "act: the same tag goes through when it is run again"; else fail "act: the same tag, run again, ended with $CODE" "$(end_of_log)"; fi
    equal "act: … and is" published "$(state_of v0.6.3)"
}
