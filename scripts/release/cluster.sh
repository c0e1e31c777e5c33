# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153  # some of it is of lib.sh
# The parts of a rehearsal that deploy. Read by rehearse.sh.

k() { kubectl --namespace speakr "$@"; }

# The cluster, as its administrator prepares it; staging and prod are one here.
prepare_cluster() {
    step "A cluster"
    kubectl config view --raw -o json |
        jq '.users[0].user += {as: "release", "as-groups": ["speakr:deployers", "system:authenticated"]}' >"$REHEARSAL/deployer.kubeconfig"
    admin=$KUBECONFIG
    check "prepare-cluster.sh" scripts/deploy/prepare-cluster.sh dev-in-cluster
    check "make-secrets.sh" scripts/deploy/make-secrets.sh dev-in-cluster
    if [ -n "${SPEAKR_VOLUMES:-}" ]; then in_background volumes give_volumes_to_their_group; fi
}
give_volumes_to_their_group() {
    local folder
    while :; do
        for folder in "$SPEAKR_VOLUMES"/*/; do
            if [ -d "$folder" ] && [ "$(stat -c %g "$folder")" != 65532 ]; then
                chgrp 65532 "$folder" && chmod 2770 "$folder"
            fi
        done
        sleep 0.1
    done
}

# The address of the API isn't known before its Service is.
api_address() { k get service speakr-query-svc -o jsonpath='{.spec.clusterIP}' 2>/dev/null; }

goes_through() { # NAME TAG
    local began=$SECONDS
    release "$2"
    if [ "$CODE" = 0 ]; then pass "$1: from tag to published in $((SECONDS - began)) s"; else
        fail "$1 ended with $CODE in $STAGE" "$(tail -n 40 "$LOG")"
        k get pods -o wide >&2 || true
        tell_checks "A rehearsal of releases" || exit 1
    fi
    equal "$1: its images have its tag" "$IMAGES" "$(tagged "$2")"
    equal "$1: its state on GitHub" published "$(state_of "$2")"
    is_latest "$1" "$2"
    equal "$1: what serves is what was pushed" "$(digest_of "${SPEAKR_REGISTRIES%% *}/speakr-query-svc:$2")" \
        "$(k get deployment speakr-query-svc -o jsonpath='{.spec.template.spec.containers[0].image}' | sed 's/.*@//')"
    local registry it
    for registry in $SPEAKR_REGISTRIES; do
        check "$1: a user verifies an image's signature in $registry" cosign verify --key "$SPEAKR_COSIGN_PUBLIC_KEY" --insecure-ignore-tlog \
            --allow-http-registry "$registry/speakr-query-svc:$2"
    done
    # What the release brings beside the platform was looked at too.
    for it in checksums version; do
        check "$1: the validation of prod has passed cli.$it" validated "$REHEARSAL/run-$RUNS/target/dist/reports/validate-prod.xml" cli "$it"
    done
}
# is_latest NAME TAG: in each registry.
is_latest() {
    if [ "$(latest)" = "$(digests_of "$2")" ]; then pass "$1: latest is $2"; else fail "$1: latest isn't $2" "$(latest)"; fi
}
# validated REPORT GROUP CHECK: it passed.
validated() {
    grep -A1 "classname=\"$2\" name=\"$3: " "$1" | grep -c '<system-out>' >/dev/null || {
        grep -A1 "classname=\"$2\"" "$1"
        return 1
    }
}

first_release() {
    step "A first release, from tag to latest"
    new_release 0.1.1
    goes_through "a good release" v0.1.1
    say "  $(gh release view v0.1.1 --json assets --jq '.assets | length') files on the release"
    # As a token is kept: by its owner alone, or the validation finds fault.
    install -m 600 /dev/null "$REHEARSAL/token"
    k exec deploy/speakr-query-svc -- /proc/1/exe token create --name rehearsal --scopes read,write,transcribe >"$REHEARSAL/token" 2>"$REHEARSAL/logs/token.log" ||
        fail "a token is made" "$(cat "$REHEARSAL/logs/token.log")"
    TOKEN_FILE=$REHEARSAL/token
    printf 'header = "Authorization: Bearer %s"\n' "$(cat "$TOKEN_FILE")" >"$REHEARSAL/token.curl"
    check "speech is sent in" curl --silent --fail --max-time 240 --config "$REHEARSAL/token.curl" --form "file=@$ROOT/assets/speech/jfk.wav" \
        --form model=whisper-1 --form store=true --form tags=before "http://$(api_address):8080/v1/audio/transcriptions"
    within 60 "and found" found_before
}
found_before() {
    curl --silent --fail --max-time 20 --config "$REHEARSAL/token.curl" --header 'Content-Type: application/json' \
        --data '{"query_text": "serving your nation", "filter_tags": ["before"]}' "http://$(api_address):8080/api/v1/query" | jq -e '.count == 1' >/dev/null
}

second_release() {
    step "A second release, over the first"
    new_release 0.1.2
    goes_through "the next release" v0.1.2
    within 30 "what was said before it is found after it" found_before
    step "The same again"
    local before
    remember
    before=$(jq -r '[.assets[].digest] | sort | join(" ")' "$REHEARSAL/github.json")
    release v0.1.2
    equal "a release that is run again ends with" 0 "$CODE"
    equal "… and changes nothing: releases" "$PUBLISHED" "$(published)"
    equal "… latest" "$LATEST" "$(latest)"
    equal "… files of releases" "$before" "$(jq -r '[.assets[].digest] | sort | join(" ")' "$REHEARSAL/github.json")"
}

cluster_faults() {
    step "A pod that never gets ready"
    remember
    new_release 0.5.0 "sed -i 's#path: /health/ready#path: /no/such/path#; s/progressDeadlineSeconds: 300/progressDeadlineSeconds: 30/' k8s/base/query-svc.yaml"
    release v0.5.0
    fault "pod that never gets ready" staging "made no progress for longer|not rolled out" v0.5.0 all

    step "A migration that fails"
    new_release 0.5.1 "sed -i 's/args: \[migrate\]/args: [migrate, --no-such-option]/' k8s/base/migrate.yaml"
    release v0.5.1
    fault "failing migration" staging "job speakr-migrate failed" v0.5.1 all

    step "A validation that fails"
    new_release 0.5.2
    refuse_labels
    release v0.5.2
    fault "failing validation" staging "speakr-validate found faults" v0.5.2 all
    take_labels

    step "A run that is cancelled in the middle of its deployment"
    new_release 0.5.3
    MEANWHILE=cancel_in_deployment release v0.5.3
    fault "cancelled in the middle" staging "Interrupted: going back" v0.5.3 all
    step "A run that is killed in the middle of its deployment"
    new_release 0.5.4
    MEANWHILE=kill_in_deployment release v0.5.4
    # Its runner cleans up in a step of its own.
    (cd "$REHEARSAL/run-$RUNS" && env -u KUBECONFIG .github/scripts/recover.sh staging) >>"$LOG" 2>&1 || true
    fault "killed in the middle" staging "was broken off" v0.5.4 all
    step "… and run again"
    release v0.5.4
    equal "the release that was killed, run again, ends with" 0 "$CODE"
    equal "… and is" published "$(state_of v0.5.4)"
    within 30 "what was said at the beginning is still found" found_before

    step "A registry that refuses latest"
    remember
    new_release 0.5.5
    # The second, and not its first image: all of the first registry has moved by then, and some of this one.
    echo '^/v2/other/speakr-query-svc/manifests/latest$' >"$REHEARSAL/registry.fails"
    release v0.5.5
    rm "$REHEARSAL/registry.fails"
    fault "second registry refuses \`latest\` of one image" promote "can't be tagged latest: those before it were put back" v0.5.5 published
    step "… and run again"
    release v0.5.5
    equal "the release whose promotion was refused, run again, ends with" 0 "$CODE"
    is_latest "… and then" v0.5.5
}
# A database that refuses a label which the validation alone gives: services get ready, and the smoke test passes.
in_database() { k exec statefulset/speakr-postgres -- psql --no-psqlrc --quiet --host /run/postgresql --username postgres --dbname speakr --command "$1" >/dev/null; }
refuse_labels() {
    check "a label is refused by the database from now on" in_database \
        "ALTER TABLE speakr.recordings ADD CONSTRAINT planted CHECK (array_to_string(tags, ' ') NOT LIKE '%-anew%') NOT VALID"
}
take_labels() { check "… and is taken again" in_database "ALTER TABLE speakr.recordings DROP CONSTRAINT planted"; }
# Waits until the services are being replaced, and tells the deployment to end as a runner does.
until_services() {
    local end=$((SECONDS + 900))
    until grep -q '^  services' "$LOG" 2>/dev/null; do
        if [ "$SECONDS" -ge "$end" ] || ! kill -0 "$1" 2>/dev/null; then return 1; fi
        sleep 0.2
    done
}
cancel_in_deployment() {
    until_services "$1" || return
    # As GitHub's runner does: the step's own process hears it, and seconds later once more.
    pkill -INT -P "$1" -f 'github/scripts/deploy.sh' || true
    sleep 7.5
    pkill -TERM -P "$1" -f 'github/scripts/deploy.sh' || true
}
kill_in_deployment() {
    until_services "$1" || return
    local it
    # All of it, from the leaves up, as when its machine goes.
    for it in $(descendants "$1"); do kill -KILL "$it" 2>/dev/null || true; done
}
descendants() {
    local child
    for child in $(pgrep -P "$1" || true); do descendants "$child"; done
    printf '%s ' "$1"
}
