#!/usr/bin/env bash
# k8s/ and scripts/deploy on a real API server with nodes that are none (kwok): what is let in and what
# isn't, who may do what, and how releases are put in place and taken back. No container runs, so it is
# quick; scripts/k8s/node.sh is the other half.
#
#   scripts/k8s/api.sh [--long]
#
# KUBECONFIG names the cluster, as its administrator; SPEAKR_K8S_RIG the folder of the rig that runs it.
# In it the name of an image decides what becomes of its pods: …-crash, …-broken (never ready), …-nopull.
# Without a rig nodes are real, would pull images that nowhere are, and have no zones: then what is let in and who
# may do what is asked, of a cluster that has no speakr in it yet, and no release is made.

# shellcheck disable=SC2016  # what is in single quotes is jq's, or another shell's
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"

long=""
[ "${1:-}" != --long ] || long=1
rig=${SPEAKR_K8S_RIG:-}
: "${KUBECONFIG:?names the cluster}"
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-k8s-api.XXXXXX")
metrics=""
# The rig's cluster ends with the test; from another, what the test makes is taken away again.
ours=(namespace/speakr storageclass/speakr crd/secretproviderclasses.secrets-store.csi.x-k8s.io crd/scaledobjects.keda.sh)
take_away=""
leave() {
    if [ -n "$metrics" ]; then kill "$metrics" 2>/dev/null || true; fi
    if [ -n "$take_away" ]; then kubectl delete --ignore-not-found "${ours[@]}" >/dev/null || true; fi
    rm -rf "$work"
}
trap leave EXIT
if [ -z "$rig" ]; then
    there=$(kubectl get --ignore-not-found --output name "${ours[@]}") || die "the cluster that KUBECONFIG names can't be asked."
    [ -z "$there" ] || die "this test makes and takes away what the cluster has already: $(printf '%s' "$there" | tr '\n' ' ')"
    take_away=1
fi
admin=$KUBECONFIG
k() { kubectl --namespace speakr "$@"; }

# The deployer's kubeconfig: the administrator's, who takes on the deployer's part.
deployer=$work/deployer.kubeconfig
kubectl config view --raw -o json |
    jq '.users[0].user += {as: "release", "as-groups": ["speakr:deployers", "system:authenticated"]}' >"$deployer"
chmod 600 "$deployer"

# Images by digest, of which nothing is ever pulled here: release $1; "NAME=SUFFIX" gives one of them a fate.
images() {
    local release=$1 name suffix
    shift
    for name in transcriber embedder query-svc validate nats otel-collector postgres s3 rclone; do
        suffix=""
        case " $* " in *" $name="*) suffix=-$(printf '%s' " $* " | sed "s/.* $name=\([^ ]*\) .*/\1/") ;; esac
        printf 'speakr-%s=registry.example/speakr-%s%s@sha256:%s\n' "$name" "$name" "$suffix" \
            "$(printf '%s' "$name$release" | sha256sum | cut -c1-64)"
    done
}

# deploys as who deploys does; nothing here answers a smoke test.
deploy() {
    env KUBECONFIG="$deployer" SPEAKR_SMOKE="${SMOKE:-true}" SPEAKR_ROLLOUT_TIMEOUT="${TIMEOUT:-60}" \
        SPEAKR_DEPLOY_PATIENCE=4 SPEAKR_MANIFESTS="$tree" "$ROOT/scripts/deploy/deploy.sh" staging "$@"
}
# … and what it ends with.
ends_with() {
    local wanted=$1 name=$2 code=0
    shift 2
    "$@" >"$work/said" 2>&1 || code=$?
    if [ "$code" = "$wanted" ]; then pass "$name (ends with $code)"; else fail "$name: ended with $code, not $wanted" "$(cat "$work/said")"; fi
}
said() { grep -Eq -- "$1" "$work/said"; }
live_image() { k get "$1" "speakr-$2" -o jsonpath='{.spec.template.spec.containers[0].image}'; }
generation() { k get deployment "speakr-$1" -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}'; }
all_available() {
    k get deployments,statefulsets -o json |
        jq -e '[.items[] | select((.status.availableReplicas // 0) < .spec.replicas)] == []' >/dev/null
}

# A copy, in which the tests make releases that differ.
tree=$work/tree
mkdir -p "$tree" && cp -R k8s deploy "$tree/"
# … with an account that comes and goes.
add_passing() {
    printf -- '---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: speakr-passing\nautomountServiceAccountToken: false\n' >>"$tree/k8s/base/validate.yaml"
}
add_passing

step "The cluster, as its administrator prepares it"
kubectl apply -f k8s/tests/crds.yaml >/dev/null
kubectl wait --for=condition=Established crd/secretproviderclasses.secrets-store.csi.x-k8s.io crd/scaledobjects.keda.sh >/dev/null
{
    printf 'AWS_REGION=eu-central-1\nS3_BUCKET=bucket\nSTREAMS_BACKUP_BUCKET=copies\nMETRICS_WRITE_URL=https://metrics.example/api/v1/remote_write\n'
    printf 'CERTIFICATE_ARN=arn:aws:acm:eu-central-1:111122223333:certificate/example\nLOAD_BALANCER_SECURITY_GROUP=sg-1\n'
    printf 'API_URL=https://speakr.example\n'
} >"$work/facts.env"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -keyout "$work/key.pem" -out "$work/ca.pem" 2>/dev/null
images 1 >"$work/images-1.env"
# The admission of the cluster needs a moment to know its own policies.
prepare() { scripts/deploy/prepare-cluster.sh staging --storage-class "$work/class.env" "$@"; }
printf 'kmsKeyId=arn:aws:kms:eu-central-1:111122223333:key/example\ntagSpecification_1=environment=staging\n' >"$work/class.env"
check "prepare-cluster.sh makes the namespace, its bounds and its rights" prepare
ends_with 2 "a cluster that doesn't tell its facts gets no release" deploy --images "$work/images-1.env"
check "the facts and the database's authority follow" prepare --facts "$work/facts.env" --database-ca "$work/ca.pem"
echo 'NONSENSE=1' >"$work/wrong.env"
refused "a fact that no manifest knows is refused" "knows a fact NONSENSE" prepare --facts "$work/wrong.env"
equal "volumes are encrypted with the key that was given" arn:aws:kms:eu-central-1:111122223333:key/example \
    "$(kubectl get storageclass speakr -o jsonpath='{.parameters.kmsKeyId}')"
check "a fact is put there without a word of the class" scripts/deploy/prepare-cluster.sh staging --facts "$work/facts.env"
equal "… which stays as it is" arn:aws:kms:eu-central-1:111122223333:key/example \
    "$(kubectl get storageclass speakr -o jsonpath='{.parameters.kmsKeyId}')"
# Here no driver of EBS is: another makes the volumes.
kubectl delete storageclass speakr >/dev/null
jq -n '{apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: {name: "speakr"}, provisioner: "kubernetes.io/host-path"}' |
    kubectl create -f - >/dev/null

step "What is let in"
strict() { k apply --server-side --force-conflicts --validate=strict --field-manager=speakr-deploy --dry-run=server -f "$1"; }
mkdir -p "$tree/k8s/overlays/prod-keda"
cp -R k8s/overlays/prod "$tree/k8s/overlays/prod-hosted"
sed -i.before 's#components/nats-cluster#components/hosted-bus#' "$tree/k8s/overlays/prod-hosted/kustomization.yaml"
printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: speakr\nresources: [../prod]\ncomponents: [../../components/keda]\n' \
    >"$tree/k8s/overlays/prod-keda/kustomization.yaml"
for overlay in dev dev-in-cluster staging prod prod-keda prod-hosted; do
    mkdir -p "$tree/try"
    {
        printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../k8s/overlays/%s]\nimages:\n' "$overlay"
        sed 's/\(.*\)=\(.*\)@\(.*\)/- {name: \1, newName: \2, digest: "\3"}/' "$work/images-1.env"
    } >"$tree/try/kustomization.yaml"
    kubectl kustomize "$tree/try" >"$work/$overlay.yaml"
    ends_with 0 "overlay $overlay is applied, strictly" strict "$work/$overlay.yaml"
    equal "pods of $overlay that violate the restricted profile: none" "" "$(grep -i 'would violate' "$work/said" || true)"
done
rm -rf "$tree/try" "$tree/k8s/overlays/prod-keda" "$tree/k8s/overlays/prod-hosted"
sed 's/^  replicas: 3$/  replica: 3/' "$work/staging.yaml" >"$work/wrong.yaml"
refused "a misspelt field is refused" 'spec.replica: field not declared in schema' strict "$work/wrong.yaml"
sed 's/usePodIdentity/usePodIdentify/' "$work/staging.yaml" >"$work/wrong.yaml"
refused "a misspelt field of a custom resource is refused" 'usePodIdentify: field not declared in schema' strict "$work/wrong.yaml"
digest=registry.example/any@sha256:$(printf any | sha256sum | cut -c1-64)
pod() { jq -n --arg image "$digest" '{apiVersion: "v1", kind: "Pod", metadata: {name: "try"}, spec: {
    securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: "RuntimeDefault"}},
    containers: [{name: "c", image: $image, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: ["ALL"]}}}]}}' |
    jq "$1" | k create --dry-run=server -f -; }
check "a pod within the bounds is let in" pod .
refused "a privileged pod isn't" 'violates PodSecurity "restricted' pod '.spec.containers[0].securityContext = {privileged: true}'
refused "a pod as root isn't" 'violates PodSecurity "restricted' pod '.spec.securityContext.runAsNonRoot = false'
refused "a pod on the node's network isn't" 'violates PodSecurity "restricted' pod '.spec.hostNetwork = true'
refused "an image by a tag isn't" 'images are deployed by digest' pod '.spec.containers[0].image = "registry.example/any:latest"'
refused "a Deployment of such an image isn't" 'images are deployed by digest' sh -c \
    "kubectl -n speakr create deployment try --image=registry.example/any:1 --dry-run=server"
refused "more than the quota isn't" 'exceeded quota: speakr, requested: requests.cpu=40' pod '.spec.containers[0] as $c
    | .spec.containers = [range(5) | $c + {name: "c\(.)", resources: {requests: {cpu: "8", memory: "64Mi"}, limits: {cpu: "8"}}}]'
refused "more than a container may have isn't" 'maximum memory usage per Container is 8Gi' pod '.spec.containers[0].resources.limits = {memory: "9Gi"}'
refused "a third load balancer isn't" 'exceeded quota' sh -c 'for n in 1 2 3; do
    kubectl -n speakr create service loadbalancer "try-$n" --tcp=443 || exit 1; done'
k delete service --ignore-not-found try-1 try-2 try-3 >/dev/null

step "Who may do what"
# One question a line: who, verb, resource (group/resource or resource, with /subresource), namespace, name.
ask() {
    jq -Rn '[inputs | select(. != "") | split(" ") | {apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview",
        spec: ({user: (if .[0] == "deployer" then "release" else .[0] end),
                groups: (if .[0] == "deployer" then ["speakr:deployers", "system:authenticated"]
                         elif (.[0] | startswith("system:serviceaccount:")) then ["system:serviceaccounts", "system:serviceaccounts:speakr", "system:authenticated"]
                         else ["system:authenticated"] end),
                resourceAttributes: {verb: .[1], group: (.[2] | if test("\\.") then (split("/")[0] | sub("^[^.]*\\."; "")) else "" end),
                    resource: (.[2] | split("/")[0] | sub("\\..*$"; "")), subresource: (.[2] | split("/")[1] // ""),
                    namespace: (if .[3] == "-" then "" else .[3] end), name: (.[4] // "")}})}]
        | {apiVersion: "v1", kind: "List", items: .}' | kubectl create -f - -o json |
        jq -r '(.items // [.])[] | "\(.status.allowed // false) \(.spec.resourceAttributes.verb) \(.spec.resourceAttributes.resource)\(if .spec.resourceAttributes.subresource then "/" + .spec.resourceAttributes.subresource else "" end) \(.spec.user)"'
}
answers() { # WANTED NAME: of the questions on standard input all are answered so
    local questions answered
    questions=$(cat)
    answered=$(printf '%s\n' "$questions" | ask)
    equal "$2: answers" "$(printf '%s\n' "$questions" | wc -l)" "$(printf '%s\n' "$answered" | wc -l)"
    equal "$2: exceptions, none" "" "$(printf '%s\n' "$answered" | grep -v "^$1 " || true)"
}
answers true "what a deployer may" <<'Q'
deployer patch deployments.apps speakr
deployer create deployments.apps speakr
deployer patch statefulsets.apps speakr
deployer create jobs.batch speakr
deployer delete jobs.batch speakr
deployer patch configmaps speakr
deployer delete configmaps speakr
deployer patch services speakr
deployer patch serviceaccounts speakr
deployer patch networkpolicies.networking.k8s.io speakr
deployer patch ingresses.networking.k8s.io speakr
deployer patch horizontalpodautoscalers.autoscaling speakr
deployer patch poddisruptionbudgets.policy speakr
deployer patch secretproviderclasses.secrets-store.csi.x-k8s.io speakr
deployer patch scaledobjects.keda.sh speakr
deployer get pods speakr
deployer delete pods speakr
deployer get pods/log speakr
deployer list events speakr
deployer get cronjobs.batch speakr
deployer create secrets speakr speakr-validate-token
deployer patch secrets speakr speakr-validate-token
deployer delete secrets speakr speakr-validate-token
deployer create leases.coordination.k8s.io speakr
deployer get namespaces - speakr
Q
answers false "what a deployer may not" <<'Q'
deployer get secrets speakr
deployer list secrets speakr
deployer create secrets speakr
deployer get secrets speakr speakr-validate-token
deployer patch secrets speakr speakr-query-svc
deployer delete secrets speakr speakr-nats
deployer create pods speakr
deployer patch pods speakr
deployer create pods/exec speakr
deployer get pods/exec speakr
deployer create pods/attach speakr
deployer create pods/portforward speakr
deployer create pods/eviction speakr
deployer patch pods/ephemeralcontainers speakr
deployer create services/proxy speakr
deployer create serviceaccounts/token speakr
deployer create roles.rbac.authorization.k8s.io speakr
deployer patch roles.rbac.authorization.k8s.io speakr
deployer create rolebindings.rbac.authorization.k8s.io speakr
deployer patch resourcequotas speakr
deployer delete limitranges speakr
deployer delete persistentvolumeclaims speakr
deployer patch namespaces - speakr
deployer create namespaces -
deployer get nodes -
deployer impersonate users -
deployer patch storageclasses.storage.k8s.io -
deployer patch validatingadmissionpolicies.admissionregistration.k8s.io -
deployer patch clusterroles.rbac.authorization.k8s.io -
deployer get secrets kube-system
deployer patch deployments.apps kube-system
deployer patch deployments.apps default
deployer get pods default
Q
answers false "what everybody else may not" <<'Q'
somebody get pods speakr
somebody get configmaps speakr
somebody patch deployments.apps speakr
system:serviceaccount:speakr:speakr-transcriber get secrets speakr
system:serviceaccount:speakr:speakr-embedder get configmaps speakr
system:serviceaccount:speakr:speakr-query-svc list pods speakr
system:serviceaccount:speakr:speakr-nats list pods speakr
system:serviceaccount:speakr:speakr-otel-collector list pods speakr
system:serviceaccount:speakr:speakr-migrate create jobs.batch speakr
system:serviceaccount:speakr:speakr-validate get secrets speakr
Q

if [ -z "$rig" ]; then
    not_run releases "no rig is here whose pods are as the names of their images say (SPEAKR_K8S_RIG)"
    tell_checks "k8s/ on a real API server, without releases"
    exit
fi

step "A first release"
refused "a release for another environment than the cluster's is refused" 'this cluster is the environment "staging", not "prod"' \
    env KUBECONFIG="$deployer" scripts/deploy/deploy.sh prod --images "$work/images-1.env"
if [ -n "$long" ]; then
    # Somebody applied the manifests by hand, before these scripts came.
    k apply --server-side --field-manager=by-hand -f "$work/staging.yaml" >/dev/null
    within 90 "what was applied by hand is available" all_available
    images 0 query-svc=crash >"$work/images-0.env"
    ends_with 1 "a first release by the scripts that goes wrong: back to what was there" deploy --images "$work/images-0.env"
    equal "what serves" "$(sed -n 's/^speakr-query-svc=//p' "$work/images-1.env")" "$(live_image deployment query-svc)"
    within 30 "… all of it available" all_available
    equal "… and each pod still has its secrets (SecretProviderClasses)" "$(grep -c '^kind: SecretProviderClass' "$work/staging.yaml")" \
        "$(k get secretproviderclasses -o name | wc -l)"
fi
ends_with 0 "deploy puts it in place" deploy --images "$work/images-1.env" --report "$work/report"
check "all of it is available" all_available
refused "a container for debugging by a tag isn't let in" 'images are deployed by digest' k debug "$(k get pods \
    --selector app.kubernetes.io/name=speakr-query-svc -o name | sed -n 1p)" --image=registry.example/any:1 --profile=restricted --attach=false
check "… each with as many as its autoscaler wants at least" sh -c "kubectl -n speakr get deployments,horizontalpodautoscalers -o json | jq -e '
    .items as \$all | [\$all[] | select(.kind == \"HorizontalPodAutoscaler\") | . as \$scaler | \$all[]
        | select(.kind == \"Deployment\" and .metadata.name == \$scaler.spec.scaleTargetRef.name)
        | (.status.availableReplicas // 0) >= \$scaler.spec.minReplicas]
    | length == 3 and all'"
# What pods have now; those of what was there before stay, for its pods.
settings_now() { k get deployment speakr-query-svc -o json | jq -r '.spec.template.spec.containers[0].envFrom[].configMapRef.name' | grep speakr-common; }
equal "objects of the release that bear its label, by which they are found again" "$(grep -c '^kind: ' "$work/staging.yaml")" \
    "$(k get configmaps,services,serviceaccounts,deployments,statefulsets,jobs,cronjobs,networkpolicies,ingresses,poddisruptionbudgets,horizontalpodautoscalers,secretproviderclasses \
        --selector app.kubernetes.io/part-of=speakr -o json | jq --arg now "$(settings_now)" \
        '[.items[] | select(.metadata.ownerReferences == null and (.metadata.name | (startswith("speakr-common-") | not) or . == $now))] | length')"
check "… and all pods" sh -c "kubectl -n speakr get pods -o json | jq -e '[.items[].metadata.labels[\"app.kubernetes.io/part-of\"] == \"speakr\"] | all'"
equal "servers of the bus in zones of their own" 3 "$(k get pods -l app.kubernetes.io/name=speakr-nats -o json |
    jq -r '[.items[].spec.nodeName] | unique | length')"
k get deployments,statefulsets,jobs,cronjobs -o json | jq '.items |= map(if .kind == "CronJob" then .spec = .spec.jobTemplate.spec else . end)' >"$work/live.json"
every() { jq -e "[.items[].spec.template.spec | $1] | all" "$work/live.json" >/dev/null; }
check "every pod runs as nobody in particular" every '.securityContext.runAsNonRoot and .securityContext.runAsUser == 65532 and .securityContext.seccompProfile.type == "RuntimeDefault"'
check "every root is read-only and every capability dropped" every '[.containers[], (.initContainers // [])[]] | all(.securityContext.readOnlyRootFilesystem and .securityContext.capabilities.drop == ["ALL"] and .securityContext.allowPrivilegeEscalation == false)'
check "no pod has a token of the API server" every '.automountServiceAccountToken == false'
check "every container says what it needs and may take" every '[.containers[], (.initContainers // [])[]] | all(.resources.requests.cpu and .resources.requests.memory and .resources.limits.memory)'
check "every image is named by digest" every '[.containers[], (.initContainers // [])[]] | all(.image | test("@sha256:[0-9a-f]{64}$"))'
check "every secret is a file of the vault" every '[.volumes[] | select(.name == "secrets")] | all(.csi.driver == "secrets-store.csi.k8s.io")'
check "no secret is a variable" every '[.containers[], (.initContainers // [])[] | ((.env // [])[] | select(.valueFrom.secretKeyRef)), ((.envFrom // [])[] | select(.secretRef))] == []'
check "every service is probed" jq -e '[.items[] | select(.kind | test("Job$") | not) | .spec.template.spec.containers[0]] | all(.startupProbe and .livenessProbe and .readinessProbe)' "$work/live.json"
check "no rollout takes a replica away before there is another" jq -e '[.items[] | select(.kind == "Deployment") | .spec.strategy.rollingUpdate.maxUnavailable] | all(. == 0)' "$work/live.json"
k get configmaps -o json | jq -r '.items[].data // {} | .SPEAKR_SHUTDOWN_DEADLINE // empty' | sort -u >"$work/deadlines"
equal "services that say how long they end: all" 3 "$(wc -l <"$work/deadlines" | tr -d ' ')"
for service in transcriber embedder query-svc; do
    k get deployment "speakr-$service" -o json >"$work/one.json"
    deadline=$(k get configmap "$(jq -r '.spec.template.spec.containers[0].envFrom[].configMapRef.name' "$work/one.json" | grep -v common)" -o json |
        jq -r '.data.SPEAKR_SHUTDOWN_DEADLINE | rtrimstr("s")')
    # The last traces and metrics have up to twelve seconds beyond it.
    check "speakr-$service has longer to end than it says that it takes" jq -e --argjson deadline "$deadline" \
        '.spec.template.spec | .terminationGracePeriodSeconds >= $deadline + 12 + (.containers[0].lifecycle.preStop.sleep.seconds // 0)' "$work/one.json"
done
check "nothing goes in or out that isn't allowed" sh -c "kubectl -n speakr get networkpolicy default-deny -o json |
    jq -e '.spec == {podSelector: {}, policyTypes: [\"Ingress\", \"Egress\"]}'"
equal "the validation waits until somebody asks for it" true "$(k get cronjob speakr-validate -o jsonpath='{.spec.suspend}')"
check "status finds all of it well" env KUBECONFIG="$deployer" scripts/deploy/status.sh staging
ends_with 0 "diff finds nothing to change" env KUBECONFIG="$deployer" SPEAKR_MANIFESTS="$tree" scripts/deploy/diff.sh staging

step "A second release"
images 2 >"$work/images-2.env"
ends_with 1 "diff tells what would change" env KUBECONFIG="$deployer" SPEAKR_MANIFESTS="$tree" scripts/deploy/diff.sh staging --images "$work/images-2.env"
check "… image by image" said '^\+.*speakr-query-svc@sha256:'
job=$(k get job speakr-migrate -o jsonpath='{.metadata.uid}')
# Also something that the release before had, and a setting of it.
sed -i.before 's/^SPEAKR_LOG=info/SPEAKR_LOG=warn/' "$tree/k8s/base/settings/common.env"
cp k8s/base/validate.yaml "$tree/k8s/base/"
old_settings=configmap/$(settings_now)
ends_with 0 "deploy puts it in place" deploy --images "$work/images-2.env"
check "the migration ran again, as a Job of its own" sh -c "[ '$job' != \"\$(kubectl -n speakr get job speakr-migrate -o jsonpath='{.metadata.uid}')\" ]"
refused "what the release doesn't have any more is gone" NotFound k get serviceaccount speakr-passing
check "the settings of the release before are kept, for its pods" k get "$old_settings"
cp -R k8s "$tree/"
add_passing
ends_with 0 "what is back in the next is there again" deploy
check "… with the images as they were" [ "$(live_image deployment query-svc)" = "$(sed -n 's/^speakr-query-svc=//p' "$work/images-2.env")" ]
check "… and the account is back" k get serviceaccount speakr-passing
revision=$(generation query-svc)
ends_with 0 "the same once more changes nothing" deploy
equal "revisions of query-svc" "$revision" "$(generation query-svc)"

# shellcheck source=scripts/k8s/api-undo.sh
. "$ROOT/scripts/k8s/api-undo.sh"

step "What keeps it up"
evict() { jq -n --arg name "$1" '{apiVersion: "policy/v1", kind: "Eviction", metadata: {name: $name, namespace: "speakr"}}' |
    kubectl create --raw "/api/v1/namespaces/speakr/pods/$1/eviction" -f -; }
check "one server of the bus may be taken away" evict speakr-nats-0
refused "a second may not, before the first is back" "disruption budget" evict speakr-nats-1
within 60 "the first is back" all_available
node=$(k get pod speakr-nats-2 -o jsonpath='{.spec.nodeName}')
check "a node is emptied" kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=120s
equal "pods of speakr on it" 0 "$(k get pods -o json | jq --arg node "$node" '[.items[] | select(.spec.nodeName == $node and .metadata.deletionTimestamp == null and .status.phase != "Succeeded")] | length')"
within 60 "every service is available without it" sh -c "kubectl -n speakr get deployments -o json | jq -e '[.items[] | select((.status.availableReplicas // 0) < .spec.replicas)] == []'"
kubectl uncordon "$node" >/dev/null
within 60 "the bus is whole again once the zone is back" all_available

echo '{"speakr-query-svc": {"cpu": "90m", "memory": "100Mi"}, "speakr-transcriber": {"cpu": "100m", "memory": "100Mi"}, "speakr-embedder": {"cpu": "20m", "memory": "100Mi"}}' >"$work/metrics.json"
pki=$(dirname "$admin")
python3 "$rig/scripts/fake-metrics.py" 16444 "$pki" "$(kubectl config view -o jsonpath='{.clusters[0].cluster.server}')" "$work/metrics.json" >"$work/metrics.log" 2>&1 &
metrics=$!
kubectl apply -f "$rig/scripts/fake-metrics.yaml" >/dev/null
desired() { [ "$(k get horizontalpodautoscaler speakr-query-svc -o jsonpath='{.status.desiredReplicas}')" = "$1" ]; }
has_metrics() { k get horizontalpodautoscaler speakr-query-svc -o jsonpath='{.status.currentMetrics[0].resource.current.averageUtilization}' | grep -c . >/dev/null; }
within 60 "the autoscaler knows how busy query-svc is" has_metrics
within 30 "… and leaves it at two" desired 2
jq '.["speakr-query-svc"].cpu = "600m"' "$work/metrics.json" >"$work/metrics.new" && mv "$work/metrics.new" "$work/metrics.json"
within 60 "busy, it gets as many as staging allows" desired 3
within 30 "… and they come up" sh -c '[ "$(kubectl -n speakr get deployment speakr-query-svc -o jsonpath="{.status.availableReplicas}")" = 3 ]'
ends_with 0 "a release leaves the number to the autoscaler" deploy --images "$work/images-3.env"
equal "replicas of query-svc" 3 "$(k get deployment speakr-query-svc -o jsonpath='{.spec.replicas}')"
kubectl delete -f "$rig/scripts/fake-metrics.yaml" >/dev/null

tell_checks "k8s/ on a real API server"
