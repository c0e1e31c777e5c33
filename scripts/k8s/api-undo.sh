# shellcheck shell=bash disable=SC2016,SC2154  # jq's; and it is read by api.sh, of which it is the part on releases that are taken back

step "Undone by hand, and by rollback"
first=$(k get replicasets -o json | jq -r --arg image "$(sed -n 's/^speakr-query-svc=//p' "$work/images-1.env")" \
    '[.items[] | select(.spec.template.spec.containers[0].image == $image)][0].metadata.annotations["deployment.kubernetes.io/revision"]')
k rollout undo deployment/speakr-query-svc --to-revision="$first" >/dev/null
k rollout status deployment/speakr-query-svc --timeout=60s >/dev/null
{
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../k8s/overlays/staging]\nimages:\n'
    sed 's/\(.*\)=\(.*\)@\(.*\)/- {name: \1, newName: \2, digest: "\3"}/' "$work/images-2.env"
} >"$work/kustomization.yaml"
mkdir -p "$tree/try" && cp "$work/kustomization.yaml" "$tree/try/"
refused "after a rollout undo, an apply conflicts over the image" "conflict.*\.image" sh -c \
    "kubectl kustomize '$tree/try' | kubectl -n speakr apply --server-side --field-manager=speakr-deploy -f -"
rm -rf "$tree/try"
images 3 >"$work/images-3.env"
ends_with 0 "deploy takes it back into its hands" deploy --images "$work/images-3.env"
equal "what serves" "$(sed -n 's/^speakr-query-svc=//p' "$work/images-3.env")" "$(live_image deployment query-svc)"
rollback() { env KUBECONFIG="$deployer" SPEAKR_ROLLOUT_TIMEOUT=60 SPEAKR_MANIFESTS="$tree" scripts/deploy/rollback.sh staging "$@"; }
recover() { env KUBECONFIG="$deployer" SPEAKR_ROLLOUT_TIMEOUT=60 SPEAKR_MANIFESTS="$tree" scripts/deploy/recover.sh staging "$@"; }
# From which release to which it went, as it says itself.
went() { sed -n 's/.*: back from release \([0-9]*\) to release \([0-9]*\)$/\1 \2/p' "$work/said"; }
ends_with 0 "rollback goes to the release before" rollback
equal "what serves" "$(sed -n 's/^speakr-query-svc=//p' "$work/images-2.env")" "$(live_image deployment query-svc)"
check "status lists it" sh -c "KUBECONFIG='$deployer' scripts/deploy/status.sh staging | grep -c 'back to release' >/dev/null"

read -r _ to <<<"$(went)"
ends_with 0 "… and once more, to the one before that" rollback
if [ "$(went | cut -d' ' -f2)" -lt "$to" ]; then pass "… which is an earlier one"; else fail "… which is no earlier one" "$(cat "$work/said")"; fi
ends_with 2 "an option without its value is no release" deploy --images
ends_with 2 "… and no way back" rollback --report

step "Releases that go wrong are taken back"
good=$(live_image deployment query-svc)
revision=$(generation query-svc)
wrong() { # NAME PATTERN IMAGES… : deployed, it is undone, for a reason that is told
    local name=$1 pattern=$2
    shift 2
    images wrong "$@" >"$work/images-wrong.env"
    ends_with 1 "$name: undone" deploy --images "$work/images-wrong.env"
    if said "$pattern"; then pass "$name: it is said why"; else fail "$name: it isn't said why ($pattern)" "$(cat "$work/said")"; fi
    equal "$name: what serves" "$good" "$(live_image deployment query-svc)"
    check "$name: all of it is available" all_available
}
# A second try here would end as the first.
sed -i.before 's/backoffLimit: 2/backoffLimit: 0/' "$tree/k8s/base/migrate.yaml"
wrong "a migration that fails" "job speakr-migrate failed" embedder=crash
equal "… has touched no service (revisions of query-svc)" "$revision" "$(generation query-svc)"
wrong "an image that crashes" "has crashed" query-svc=crash
# What the deployer may do with settings, Services and accounts, and with what runs.
deployer_may() {
    kubectl --namespace speakr patch role speakr-deployer --type=json -p "[{\"op\": \"replace\", \"path\": \"/rules/0/verbs\", \"value\": $1},
        {\"op\": \"replace\", \"path\": \"/rules/1/verbs\", \"value\": $1}]" >/dev/null
}
# A right is missing, and so what the release doesn't have can't be taken away.
cp k8s/base/validate.yaml "$tree/k8s/base/"
deployer_may '["get", "list", "watch", "create", "patch"]'
ends_with 1 "something that can't be removed: undone" deploy
check "… and it is said why" said "speakr-passing, which the release doesn't have, can't be removed: .*forbidden"
equal "… releases that are begun and not ended" "" "$(k get configmaps --selector speakr.dev/state=running -o name)"
deployer_may '["get", "list", "watch", "create", "patch", "delete"]'
add_passing
# … or the cluster says so before anything is changed.
deployer_may '["get", "list", "watch", "create", "delete"]'
ends_with 2 "manifests that the cluster refuses: nothing is changed" deploy
check "… and it is said why" said "error: the cluster refused a part of it: .*[Ff]orbidden"
deployer_may '["get", "list", "watch", "create", "patch", "delete"]'

# A release whose transcriber never gets ready is begun, with the kubeconfig $1: in the place of a shell, so that a signal is
# for the script itself.
begin_broken() {
    images broken transcriber=broken >"$work/images-wrong.env"
    (exec env KUBECONFIG="$1" SPEAKR_SMOKE=true SPEAKR_ROLLOUT_TIMEOUT="${TIMEOUT:-90}" SPEAKR_MANIFESTS="$tree" \
        "$ROOT/scripts/deploy/deploy.sh" staging --images "$work/images-wrong.env") >"$work/begun" 2>&1 &
    begun=$!
    for _ in $(seq 120); do
        if k get pods -o json | jq -e '[.items[].spec.containers[].image | select(test("-broken"))] != []' >/dev/null; then return; fi
        sleep 0.5
    done
}
until_begun_said() {
    for _ in $(seq 600); do
        if grep -q -- "$1" "$work/begun"; then return; fi
        sleep 0.1
    done
}
# What it ends with, and what it said.
end_begun() {
    local code=0
    wait "$begun" || code=$?
    cat "$work/begun"
    return "$code"
}
interrupted() {
    begin_broken "$deployer"
    kill -TERM "$begun"
    until_begun_said "Going back to"
    # As a runner of workflows does, and who closes the terminal.
    kill -TERM "$begun"
    kill -HUP "$begun"
    end_begun
}
ends_with 1 "a deployment that is interrupted, three times: undone" interrupted
check "… and it is said why" said "FAILED after .*it was interrupted"
equal "… what serves" "$good" "$(live_image deployment query-svc)"
check "… all of it is available" all_available

begin_broken "$deployer"
kill -TERM "$begun"
until_begun_said "Going back to"
kill -KILL "$begun"
wait "$begun" 2>/dev/null || true
refused "a deployment that is killed while it is taken back: status says so" "neither is it in place nor was it taken back" \
    env KUBECONFIG="$deployer" scripts/deploy/status.sh staging
ends_with 0 "… recover takes it back" recover
equal "… what serves" "$good" "$(live_image deployment query-svc)"
check "… all of it is available" all_available
ends_with 0 "… and has nothing to do a second time" recover
check "… as it says" said "No deployment to staging was broken off"

# Between the deployer and the API server stands something that can be taken away.
server=$(kubectl config view -o jsonpath='{.clusters[0].cluster.server}' | sed 's#^https://##')
between=16445
relay() {
    python3 scripts/k8s/relay.py "$between" "${server%:*}" "${server##*:}" &
    relay=$!
}
jq --arg server "https://127.0.0.1:$between" '.clusters[0].cluster.server = $server' "$deployer" >"$work/relayed.kubeconfig"
chmod 600 "$work/relayed.kubeconfig"
unheard() {
    relay
    sleep 1
    TIMEOUT=20 begin_broken "$work/relayed.kubeconfig"
    # All of it has been applied by then.
    sleep 3
    kill "$relay"
    until_begun_said "FAILED after"
    sleep 3
    relay
    end_begun
}
ends_with 1 "an API server that is away for a while: undone" unheard
kill "$relay" 2>/dev/null || true
check "… and it is said why" said "FAILED after .*the cluster doesn't answer"
equal "… what serves" "$good" "$(live_image deployment query-svc)"
check "… all of it is available" all_available

# The smoke test takes away what going back takes, and fails.
spoiled_smoke() {
    KUBECONFIG=$admin deployer_may '["get", "list", "watch", "create"]'
    return 1
}
export -f spoiled_smoke deployer_may
export admin
printf '#!/bin/bash\nspoiled_smoke\n' >"$work/spoils"
chmod +x "$work/spoils"
images 5 >"$work/images-5.env"
SMOKE=$work/spoils ends_with 3 "a release that can't be taken back" deploy --images "$work/images-5.env"
check "… and it is said why" said "GOING BACK FAILED too, .*the cluster refused a part of it: .*[Ff]orbidden"
equal "… what serves is the one that failed" "$(sed -n 's/^speakr-query-svc=//p' "$work/images-5.env")" "$(live_image deployment query-svc)"
deployer_may '["get", "list", "watch", "create", "patch", "delete"]'
last_good=$(k get configmaps --selector speakr.dev/state=good -o json | jq '[.items[].metadata.labels["speakr.dev/release"] | tonumber] | max')
ends_with 0 "… rollback to the last good one puts it back, as the runbook has it" rollback "$last_good"
equal "… what serves" "$good" "$(live_image deployment query-svc)"
check "… all is well" env KUBECONFIG="$deployer" scripts/deploy/status.sh staging

if [ -n "$long" ]; then
    wrong "an image that can't be pulled" "ImagePullBackOff" query-svc=nopull
    TIMEOUT=12 wrong "an image that is never ready" "not rolled out after 12 s" transcriber=broken
    wrong "a server of the bus that crashes" "has crashed" nats=crash
    SMOKE=false wrong "a smoke test that fails" "smoke test failed"
else
    not_run long "images that can't be pulled or are never ready, a bus that crashes, a smoke test that fails (--long; the first two run on the real kubelet)"
fi
equal "no lease is left" "" "$(k get leases -o name)"
jq -n '{apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: {name: "speakr-deploy"}, spec: {
    holderIdentity: "somebody else", leaseDurationSeconds: 7200, acquireTime: (now | strftime("%Y-%m-%dT%H:%M:%S.000000Z"))}}' |
    k create -f - >/dev/null
ends_with 2 "while somebody else deploys, nobody does" deploy
check "… and it is said who" said "somebody else is deploying: somebody else"
k patch lease speakr-deploy --type=merge -p '{"spec": {"acquireTime": "2020-01-01T00:00:00.000000Z"}}' >/dev/null
ends_with 0 "one that was left over hours ago is taken" deploy
equal "no lease is left" "" "$(k get leases -o name)"
