# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2094,SC2153  # some of it is for node.sh, and some of it is of common.sh
# The parts of scripts/k8s/node.sh.

k() { kubectl --namespace speakr "$@"; }

start_node_test() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-k8s-node.XXXXXX")
    started=()
    trap end_node_test EXIT
    deployer=$work/deployer.kubeconfig
    kubectl config view --raw -o json |
        jq '.users[0].user += {as: "release", "as-groups": ["speakr:deployers", "system:authenticated"]}' >"$deployer"
    chmod 600 "$deployer"
    # A copy, in which the collector is left out where there is none.
    tree=$work/tree
    mkdir -p "$tree" && cp -R k8s deploy "$tree/"
    with_collector=1
    images_wanted=8
    {
        echo "patches:"
        if [ "$three" ]; then
            # Here all of them are on one node.
            printf '  - patch: |\n      - op: remove\n        path: /spec/template/spec/topologySpreadConstraints\n    target: {kind: StatefulSet, name: speakr-nats}\n'
            sed -i 's#^  - ../../components/small#  - ../../components/nats-cluster\n&#' "$tree/k8s/overlays/dev-in-cluster/kustomization.yaml"
        fi
    } >>"$tree/k8s/overlays/dev-in-cluster/kustomization.yaml"
    if has rclone; then images_wanted=9; fi
    if [ ! -x "${SPEAKR_OTELCOL:-}" ]; then
        with_collector=""
        images_wanted=$((images_wanted - 1))
        cat >>"$tree/k8s/overlays/dev-in-cluster/kustomization.yaml" <<'Y'
  - patch: |
      $patch: delete
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: speakr-otel-collector
Y
    fi
    registry=${SPEAKR_TEST_REGISTRY:-}
    if [ -z "$registry" ]; then
        registry=127.0.0.1:5000
        in_background registry crane registry serve --address "$registry" --disk "$work/registry-data"
        mkdir -p "$work/registry-data"
    fi
    policies=""
    if [ -n "${SPEAKR_VOLUMES:-}" ]; then in_background volumes give_volumes_to_their_group; fi
}

# What fsGroup asks of a volume's driver, for a cluster whose driver doesn't do it: SPEAKR_VOLUMES is the
# folder that volumes are made in.
give_volumes_to_their_group() {
    local folder
    while :; do
        for folder in "$SPEAKR_VOLUMES"/*/; do
            if [ -d "$folder" ] && [ "$(stat -c %g "$folder")" != 65532 ]; then
                chgrp 65532 "$folder"
                chmod 2770 "$folder"
            fi
        done
        sleep 0.1
    done
}

# Starts a program that goes with the test; what it says is in $work/NAME.log.
in_background() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    started+=("$!")
}

end_node_test() {
    local it
    if [ -e "$work/loading" ]; then rm -f "$work/loading"; fi
    for it in ${started[@]+"${started[@]}"}; do kill "$it" 2>/dev/null || true; done
    if [ -n "${SPEAKR_KEEP_WORK:-}" ]; then say "What the test made is in $work."; else rm -rf "$work"; fi
}

# ---- images

push() { # LAYOUT NAME → the image by digest
    local digest
    digest=$(sed -n 's/.*"digest": "\(sha256:[0-9a-f]*\)".*/\1/p' "$1/index.json" | sed -n 1p)
    crane push --insecure "$1" "$registry/$2:test" >/dev/null 2>"$work/push.log" || die "$2 can't be pushed: $(cat "$work/push.log")"
    printf '%s=%s/%s@%s\n' "$2" "$registry" "$2" "$digest"
}

first_images() {
    scripts/k8s/images.sh "$programs" "$work/images" >"$work/images.log"
    cut -d= -f1 "$work/images.log" | while read -r name; do push "$work/images/$name" "$name"; done >"$work/images-1.env"
}

# A release of the three services: the same programs under another label, and so under other digests.
second_images() {
    local name image digest
    while IFS='=' read -r name image; do
        case $name in
        speakr-transcriber | speakr-embedder | speakr-query-svc)
            crane mutate --insecure "$image" --label org.opencontainers.image.version=2 --tag "$registry/$name:second" >/dev/null 2>"$work/push.log" ||
                die "$name can't be changed: $(cat "$work/push.log")"
            digest=$(crane digest --insecure "$registry/$name:second")
            image=$registry/$name@$digest
            ;;
        esac
        printf '%s=%s\n' "$name" "$image"
    done <"$work/images-1.env" >"$work/images-2.env"
}

# What goes wrong, for bad_release: a program that ends at once, one that isn't the one that it should be
# (the embedder, in the place and with the rights of query_svc: it lives and is never ready), a migration
# that isn't known, and an image that isn't there.
wrong_images() {
    local make=scripts/k8s/make_image.py programs=$work/images/.stripped
    python3 "$make" "$work/wrong-crash" --entrypoint="/usr/bin/speakr-query-svc --no-such-option" \
        --layer "$programs/speakr-query-svc=/usr/bin/speakr-query-svc" >/dev/null
    python3 "$make" "$work/wrong-unready" --entrypoint=/usr/bin/speakr-embedder --env SPEAKR_MODELS_DIR=/models \
        --layer "$programs/speakr-embedder=/usr/bin/speakr-embedder" >/dev/null
    python3 "$make" "$work/wrong-wrong" --entrypoint="/usr/bin/speakr-query-svc" \
        --layer "$programs/speakr-query-svc=/usr/bin/speakr-query-svc" >/dev/null
    crash=$(push "$work/wrong-crash" speakr-wrong-crash)
    unready=$(push "$work/wrong-unready" speakr-wrong-unready)
    wrong=$(push "$work/wrong-wrong" speakr-wrong-migration)
    missing="x=$registry/speakr-transcriber@sha256:$(printf nothing | sha256sum | cut -c1-64)"
}

# ---- deployments

deploy() {
    env KUBECONFIG="$deployer" SPEAKR_MANIFESTS="$tree" SPEAKR_ROLLOUT_TIMEOUT=300 SPEAKR_DEPLOY_PATIENCE=10 \
        SPEAKR_API_URL="http://$(k get service speakr-query-svc -o jsonpath='{.spec.clusterIP}' 2>/dev/null):8080" \
        SPEAKR_SMOKE="$work/smoke" SPEAKR_API_TOKEN_FILE="${TOKEN_FILE:-}" scripts/deploy/deploy.sh dev-in-cluster "$@"
}

ends_with() {
    local wanted=$1 name=$2 code=0
    shift 2
    # The address of the API isn't known before its Service is there.
    cat >"$work/smoke" <<S
#!/bin/sh
export SPEAKR_API_URL="http://\$(kubectl -n speakr get service speakr-query-svc -o jsonpath='{.spec.clusterIP}'):8080"
exec scripts/deploy/smoke.sh "\$@"
S
    chmod +x "$work/smoke"
    "$@" >"$work/said" 2>&1 || code=$?
    if [ "$code" = "$wanted" ]; then pass "$name (ends with $code)"; else
        fail "$name: ended with $code, not $wanted" "$(cat "$work/said")"
        k get pods -o wide >&2 || true
    fi
}
tell_said_on_failure() {
    if [ "${#FAILED[@]}" -gt 0 ]; then
        k get pods -o wide >&2 || true
        k get events --sort-by=.lastTimestamp 2>/dev/null | tail -n 15 >&2 || true
        tell_checks "The platform on a real kubelet" || exit 1
    fi
}

restarts() {
    k get pods -o json | jq '[.items[].status | (.containerStatuses // [])[], (.initContainerStatuses // [])[] | .restartCount] | add'
}

bad_release() { # NAME PATTERN SERVICE=WHAT : it is undone while the old one serves
    cp -R k8s/base "$tree/k8s/"
    # Whether one that is never ready is patience's to find out: less of it, for the test.
    if [ "${3##*=}" = unready ]; then
        sed -i 's/progressDeadlineSeconds: 300/progressDeadlineSeconds: 30/' "$tree/k8s/base/query-svc.yaml"
    fi
    local name=$1 pattern=$2 service=${3%%=*} what=${3##*=} good began=$SECONDS answers commands
    answers=$(wc -l <"$work/answers")
    commands=$(wc -l <"$work/commands")
    good=$(k get deployment "speakr-$service" -o jsonpath='{.spec.template.spec.containers[0].image}')
    sed "s#^speakr-$service=.*#speakr-$service=$(image_called "$what")#" "$work/images-2.env" >"$work/images-bad.env"
    ends_with 1 "$name: undone" deploy --images "$work/images-bad.env"
    if grep -Eq -- "$pattern" "$work/said"; then pass "$name: it is said why"; else fail "$name: it isn't said why ($pattern)" "$(cat "$work/said")"; fi
    grep -E 'FAILED after|Back after' "$work/said" | sort -u | cut -c1-300 | sed 's/^/  /' >&2
    equal "$name: what serves" "$good" "$(k get deployment "speakr-$service" -o jsonpath='{.spec.template.spec.containers[0].image}')"
    answers=$(($(wc -l <"$work/answers") - answers))
    commands=$(($(wc -l <"$work/commands") - commands))
    check "$name: somebody asked ($answers times) and spoke ($commands) meanwhile" [ "$answers" -ge 10 -a "$commands" -ge 2 ]
    say "  $((SECONDS - began)) s"
}
image_called() {
    case $1 in
    crash) printf '%s' "${crash#*=}" ;;
    unready) printf '%s' "${unready#*=}" ;;
    wrong) printf '%s' "${wrong#*=}" ;;
    missing) printf '%s' "${missing#*=}" ;;
    esac
}

# ---- clients

find_addresses() {
    api=http://$(k get service speakr-query-svc -o jsonpath='{.spec.clusterIP}'):8080
    k get secret speakr-clients -o json >"$work/clients.json"
    jq -r '.data["nats-ca.pem"]' "$work/clients.json" | base64 -d >"$work/nats-ca.pem"
    jq -r '.data["cli-password"]' "$work/clients.json" | base64 -d >"$work/cli-password"
}

make_token() {
    k exec deploy/speakr-query-svc -- /proc/1/exe token create --name test --scopes read,write,transcribe >"$work/token" 2>"$work/token.log" ||
        fail "a token is made" "$(cat "$work/token.log")"
    TOKEN_FILE=$work/token
    printf 'header = "Authorization: Bearer %s"\n' "$(cat "$work/token")" >"$work/token.curl"
}

# speakr as a client of the platform, with a home of its own.
client() {
    env SPEAKR_HOME="$work/home-${CLIENT:-1}" SPEAKR_CONFIG="$work/no-config.toml" NATS_URL="tls://speakr-nats.speakr.svc.cluster.local:4222" \
        NATS_USER=cli NATS_PASSWORD="$(cat "$work/cli-password")" NATS_CA="$work/nats-ca.pem" SPEAKR_API_URL="$api" \
        SPEAKR_API_TOKEN_FILE="$work/token" SPEAKR_CLIPBOARD=false timeout 240 "$programs/speakr" "$@"
}
transcribes() { client transcribe --json "$1" >"$work/transcribed" && grep -qi "$2" "$work/transcribed"; }
finds() { client search --json "$1" >"$work/found" && grep -qi "$2" "$work/found"; }

# ---- what the validation suite sees from inside

# The suite as the pipeline starts it: by who deploys, with a token of theirs.
validate_inside() {
    env KUBECONFIG="$deployer" SPEAKR_API_TOKEN_FILE="$work/token" scripts/deploy/validate-in-cluster.sh dev-in-cluster "$@"
}
# The checks of group $1 that ended so ("passed", "failed", "skipped"), by the report for programs.
inside() {
    python3 - "$work/inside.xml" "$1" "$2" <<'PY'
import sys
import xml.etree.ElementTree as xml
report, group, wanted = sys.argv[1:]
found = []
for case in xml.parse(report).iter("testcase"):
    tags = {it.tag for it in case}
    how = "failed" if "failure" in tags else "skipped" if "skipped" in tags else "passed"
    if case.get("classname") == group and how == wanted:
        found.append(case.get("name").split(":")[0])
print(" ".join(sorted(found)))
PY
}

seen_from_inside() {
    local group replicas=1
    : >"$work/looking"
    in_background validate-use note_use_of speakr-validate-
    if [ "$three" ]; then replicas=3; fi
    ends_with 0 "speakr-validate as a Job: what harms nothing" validate_inside --junit "$work/inside.xml"
    for group in system contract health secrets infra; do equal "… what failed of $group: nothing" "" "$(inside "$group" failed)"; done
    equal "… what could not be looked at: of system" "" "$(inside system skipped)"
    equal "… of health, what stops a service" "embedder-stopped query_svc-stopped transcriber-stopped" "$(inside health skipped)"
    equal "… of secrets, what takes a shell or a checkout" "config history rotation" "$(inside secrets skipped)"
    # PostgreSQL and the S3 server of this overlay are left out with a reason; TLS of the API ends before it.
    equal "… of infra, what this overlay hasn't" "api-plaintext database-plaintext store-encryption" "$(inside infra skipped)"
    equal "… and what it has" "addresses bus-plaintext pgvector secret-files store-strangers streams" "$(inside infra passed)"
    check "… for people it is a table" grep -q 'Criteria of the plan' "$work/said"
    # One that expects what isn't so: the Job says no, and so does the script.
    ends_with 1 "speakr-validate as a Job, of more copies than there are" \
        validate_inside -- --group infra --replicas "$((replicas + 2))"
    check "… it is said which check failed" grep -q 'FAILED *infra.streams' "$work/said"
    equal "… of the Jobs nothing is left" "" "$(k get jobs,pods,secrets -o name | grep speakr-validate || true)"
    # An administrator needs no token: one is made, and revoked.
    ends_with 0 "speakr-validate as a Job, with a token of its own" \
        env -u SPEAKR_API_TOKEN_FILE scripts/deploy/validate-in-cluster.sh dev-in-cluster -- --group infra,contract
    equal "… which isn't known any more" "" "$(k exec deploy/speakr-query-svc -- /proc/1/exe token list |
        jq -r 'select(.name | startswith("speakr-validate-")) | .name')"
    rm -f "$work/looking"
}

# ---- the network

# Enforces the policies where the cluster doesn't itself.
start_network_policies() {
    policies=${SPEAKR_NETPOL:-${SPEAKR_CLUSTER_ENFORCES_POLICIES:-}}
    [ -n "${SPEAKR_NETPOL:-}" ] || return 0
    # shellcheck disable=SC2086  # a program and its arguments
    in_background netpol $SPEAKR_NETPOL
}

# Who may reach what, in the words of docs/deployment.md; everything else is refused.
allowed_edges=(
    "transcriber>speakr-nats:4222" "transcriber>speakr-s3:7070" "transcriber>speakr-otel-collector:4318"
    "embedder>speakr-nats:4222" "embedder>speakr-s3:7070" "embedder>speakr-postgres:5432" "embedder>speakr-otel-collector:4318"
    "query-svc>speakr-nats:4222" "query-svc>speakr-s3:7070" "query-svc>speakr-postgres:5432" "query-svc>speakr-otel-collector:4318"
    "migrate>speakr-postgres:5432" "database-roles>speakr-postgres:5432"
    "validate>speakr-nats:4222" "validate>speakr-query-svc:8080" "validate>speakr-query-svc:8081" "validate>speakr-transcriber:8081"
    "validate>speakr-s3:7070" "validate>speakr-postgres:5432"
)
who_asks=(stranger transcriber embedder query-svc migrate database-roles validate)

# Each asks from a pod that is never ready (so that no Service sends to it), with the label of a service or
# of none, and tries every address.
network_matrix() {
    local image who name to answer edge yes=0 expected=0 rows=()
    local targets=(speakr-postgres:5432 speakr-nats:4222 speakr-nats-peers:8222 speakr-s3:7070 speakr-query-svc:8080
        speakr-query-svc:8081 speakr-transcriber:8081 kubernetes.default:443)
    if [ "$with_collector" ]; then targets+=(speakr-otel-collector:4318); fi
    image=$(sed -n 's/^speakr-postgres=//p' "$work/images-1.env")
    for who in "${who_asks[@]}"; do
        name=speakr-$who
        if [ "$who" = stranger ]; then name=stranger; fi
        jq -n --arg name "$name" --arg pod "probe-$who" --arg image "$image" --arg targets "${targets[*]}" '{apiVersion: "v1", kind: "Pod",
            metadata: {name: $pod, labels: {"app.kubernetes.io/name": $name, "speakr.dev/probe": "yes"}},
            spec: {restartPolicy: "Never", automountServiceAccountToken: false, enableServiceLinks: false,
                readinessGates: [{conditionType: "speakr.dev/never"}],
                securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: "RuntimeDefault"}},
                containers: [{name: "probe", image: $image, command: ["/bin/sh", "-c",
                    "sleep 4; for t in \($targets); do if timeout 3 /bin/bash -c \"exec 3<>/dev/tcp/${t%:*}/${t#*:}\" 2>/dev/null; then echo \"$t yes\"; else echo \"$t no\"; fi; done"],
                    resources: {requests: {cpu: "10m", memory: "16Mi"}, limits: {memory: "64Mi"}},
                    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: ["ALL"]}}}]}}'
    done | k create -f - >/dev/null
    within 90 "who asks is done" sh -c "kubectl -n speakr get pods -l speakr.dev/probe=yes -o json | jq -e '[.items[].status.phase] | all(. == \"Succeeded\")'"
    for who in "${who_asks[@]}"; do
        while read -r to answer; do
            edge="$who>$to"
            printf '%s %s\n' "$edge" "$answer" >>"$work/matrix"
            case " ${allowed_edges[*]} " in
            *" $edge "*)
                expected=$((expected + 1))
                [ "$answer" = yes ] || rows+=("$who doesn't reach $to, and should")
                ;;
            *) [ "$answer" = no ] || rows+=("$who reaches $to, and shouldn't") ;;
            esac
            if [ "$answer" = yes ]; then yes=$((yes + 1)); fi
        done < <(k logs "probe-$who")
    done
    equal "edges that were tried" "$((${#who_asks[@]} * ${#targets[@]}))" "$(wc -l <"$work/matrix" | tr -d ' ')"
    equal "… of which let through" "$expected" "$yes"
    equal "edges that aren't as they should be: none" "" "$(printf '%s\n' ${rows[@]+"${rows[@]}"})"
    k delete pods -l speakr.dev/probe=yes --wait=false >/dev/null
    api_from_elsewhere "$image"
}

# The API from other namespaces: the label of what serves the Ingress lets in, and nothing else does.
api_from_elsewhere() { # IMAGE
    local image=$1 namespace
    for namespace in speakr-try-ingress speakr-try-elsewhere; do
        kubectl create namespace "$namespace" >/dev/null
        if [ "$namespace" = speakr-try-ingress ]; then kubectl label namespace "$namespace" speakr.dev/ingress=true >/dev/null; fi
        kubectl wait --for=create serviceaccount/default --namespace="$namespace" --timeout=30s >/dev/null
        jq -n --arg image "$image" '{apiVersion: "v1", kind: "Pod", metadata: {name: "probe"},
            spec: {restartPolicy: "Never", automountServiceAccountToken: false, enableServiceLinks: false,
                securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: "RuntimeDefault"}},
                containers: [{name: "probe", image: $image, command: ["/bin/sh", "-c",
                    "sleep 4; if timeout 3 /bin/bash -c \"exec 3<>/dev/tcp/speakr-query-svc.speakr/8080\" 2>/dev/null; then echo yes; else echo no; fi"],
                    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: ["ALL"]}}}]}}' |
            kubectl --namespace "$namespace" create -f - >/dev/null
    done
    for namespace in speakr-try-ingress speakr-try-elsewhere; do
        within 60 "who asks in $namespace is done" sh -c "kubectl --namespace $namespace get pod probe -o json | jq -e '.status.phase == \"Succeeded\"'"
    done
    equal "the API, from a namespace with the label speakr.dev/ingress" yes "$(kubectl --namespace speakr-try-ingress logs probe)"
    equal "… and from one without" no "$(kubectl --namespace speakr-try-elsewhere logs probe)"
    kubectl delete namespace speakr-try-ingress speakr-try-elsewhere --wait=false >/dev/null
}

# The same as a person asks it (docs/operations.md).
ask_as_pods() {
    local as=scripts/deploy/as-pod.sh
    equal "as-pod.sh: the database, of a transcriber" "speakr-postgres:5432 - no response" \
        "$("$as" "$work/images-1.env" speakr-transcriber 'pg_isready --host speakr-postgres --timeout 5' 2>"$work/as-pod.log" || true)"
    equal "… and of an embedder" "speakr-postgres:5432 - accepting connections" \
        "$("$as" "$work/images-1.env" speakr-embedder 'pg_isready --host speakr-postgres --timeout 5' 2>"$work/as-pod.log" || cat "$work/as-pod.log")"
    equal "… whose pods are gone again" "" "$(k get pods --output name | grep /try- || true)"
}

# ---- three servers of the bus

# Each knows the others, by their certificates; what is said is kept by all three, and one of them may go
# while somebody speaks.
bus_of_three() {
    local pod routes replicas
    equal "servers of the bus that are ready" 3 "$(k get statefulset speakr-nats -o jsonpath='{.status.readyReplicas}')"
    pod=$(k get pod speakr-nats-0 -o jsonpath='{.status.podIP}')
    routes=$(curl -s --max-time 5 "http://$pod:8222/routez" | jq '[.routes[].remote_name] | unique | length')
    equal "servers that the first has a route to" 2 "$routes"
    replicas=$(curl -s --max-time 5 "http://$pod:8222/jsz?streams=true&config=true&accounts=true" |
        jq -c '[.account_details[].stream_detail[] | select(.name | startswith("SPEAKR_")) | .config.num_replicas] | unique')
    equal "how often streams keep each message" "[3]" "$replicas"
    start_load
    sleep 5
    for pod in speakr-nats-0 speakr-nats-1 speakr-nats-2; do
        check "$pod is killed" k delete pod "$pod" --grace-period=0 --force
        within 120 "… and back" sh -c '[ "$(kubectl -n speakr get statefulset speakr-nats -o jsonpath="{.status.readyReplicas}")" = 3 ]'
    done
    stop_load "one server of the bus after the other"
}

# ---- long sound

# start_long_work NAME COUNT MORE: COUNT files of some 27 s, MORE times that more, are sent in at once; goes on when one of them is being
# worked on. In a form so small that half an hour goes into one message: what is larger is sent as it is heard.
start_long_work() {
    local name=$1 count=$2 number sound=$work/$1.ogg
    ffmpeg -v error -y -stream_loop "$3" -i "$ROOT/assets/speech/spontaneous-acoustic.wav" -codec:a libopus -b:a 16k "$sound"
    for number in $(seq "$count"); do
        (
            code=0
            CLIENT=$name-$number client transcribe --json --tags "$name-$number" "$sound" >"$work/$name-$number.json" 2>"$work/$name-$number.log" || code=$?
            echo "$code" >"$work/$name-$number.code"
        ) &
    done
    within 60 "transcriptions are under way" at_work
}
# Each has its text, and none is a dead letter.
long_work_is_done() { # NAME COUNT
    local number texts=0
    for number in $(seq "$2"); do
        within 300 "what was said in $1-$number is there, with its text" found_with_tag "$1-$number"
        if [ "$(cat "$work/$1-$number.code" 2>/dev/null)" = 0 ]; then texts=$((texts + 1)); fi
    done
    # The bus may have gone away under them: some hear of the text when it is back, others give up and say so.
    say "  of $2 clients $texts were told the text by themselves"
    equal "dead letters" 0 "$(dead_letters)"
}

# ---- death

pods_die_at_work() {
    local victims
    start_long_work dying 3 1
    victims=$(k get pods -o json | jq -r '.items[] | select(.status.phase == "Running" and (.metadata.labels["app.kubernetes.io/name"] | test("transcriber|embedder|query-svc|nats"))) | .metadata.name' | paste -sd ' ' -)
    say "  killed at once: $victims"
    # One that the last release replaced may be gone by now.
    # shellcheck disable=SC2086  # a list of words
    k delete pod $victims --grace-period=0 --force --ignore-not-found >/dev/null 2>&1
    within 180 "all of it is available again" sh -c "kubectl -n speakr get deployments,statefulsets -o json | jq -e '[.items[] | select((.status.availableReplicas // 0) < .spec.replicas)] == []'"
    wait_for_jobs
    long_work_is_done dying 3
}
at_work() {
    local pod
    pod=$(k get pods -l app.kubernetes.io/name=speakr-transcriber -o json | jq -r '[.items[] | select(.status.phase == "Running" and .metadata.deletionTimestamp == null)][0].status.podIP')
    curl -s --max-time 3 "http://$pod:8081/metrics" | awk '/^speakr_queue_working\{queue="run"\}/ { if ($2 >= 1) found = 1 } END { exit !found }'
}
found_with_tag() {
    local body
    body=$(curl -s --max-time 20 --config "$work/token.curl" --header 'Content-Type: application/json' \
        --data "$(jq -n --arg tag "$1" '{query_text: "what was said", filter_tags: [$tag]}')" "$api/api/v1/query") &&
        printf '%s' "$body" | jq -e '.count == 1 and (.results[0].transcribed_text | length > 300)' >/dev/null
}
dead_letters() {
    local pod
    pod=$(k get pods -l app.kubernetes.io/name=speakr-nats -o json | jq -r '.items[0].status.podIP')
    curl -s --max-time 5 "http://$pod:8222/jsz?streams=true&accounts=true" |
        jq '[.account_details[].stream_detail[]? | select(.name == "SPEAKR_DEAD_LETTER") | .state.messages] | add'
}
