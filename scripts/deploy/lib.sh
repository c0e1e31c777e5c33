# shellcheck shell=bash
# shellcheck disable=SC2034  # some of it is for who reads this file
# What the scripts of this folder share: the manifests of an environment, the record of releases in the
# cluster, and how a release is put in place and taken back.
#
# Where kubectl's current context points is where it happens. SPEAKR_MANIFESTS names another folder with
# k8s/ and deploy/ than this repository.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

NAMESPACE=speakr
MANAGER=speakr-deploy
MANIFESTS=${SPEAKR_MANIFESTS:-$ROOT}
# Longest wait for a rollout or a Job, in seconds, and for a pod that can't be pulled or doesn't start.
ROLLOUT_TIMEOUT=${SPEAKR_ROLLOUT_TIMEOUT:-600}
PATIENCE=${SPEAKR_DEPLOY_PATIENCE:-60}
# Releases that are remembered.
KEPT_RELEASES=10
# What a release is made of, and what is taken away when a release has it no more.
KINDS="configmaps services serviceaccounts deployments.apps statefulsets.apps jobs.batch cronjobs.batch
    networkpolicies.networking.k8s.io ingresses.networking.k8s.io poddisruptionbudgets.policy
    horizontalpodautoscalers.autoscaling"
OPTIONAL_KINDS="secretproviderclasses.secrets-store.csi.x-k8s.io scaledobjects.keda.sh"

words() { printf '%s' "$1" | tr '\n' ' '; }
k() { kubectl --namespace "$NAMESPACE" --request-timeout=60s "$@"; }

need_tools() {
    local tool
    for tool in kubectl jq gzip; do
        has "$tool" || die "$tool isn't here, and deploying needs it."
    done
}

# Checks that there is such an environment and a cluster that it can go to.
need_environment() {
    local environment=${1:-} known
    known=$(cd "$MANIFESTS/k8s/overlays" && printf '%s ' *)
    [ -n "$environment" ] && [ -d "$MANIFESTS/k8s/overlays/$environment" ] ||
        die "there is no environment \"$environment\" in k8s/overlays; there are: $known"
    kubectl get namespace "$NAMESPACE" --request-timeout=20s -o name >/dev/null ||
        die "the cluster of kubectl's current context can't be asked for the namespace $NAMESPACE, or has
none: see the message above. scripts/deploy/prepare-cluster.sh makes it, as an administrator."
}

# The kinds of KINDS, and those of OPTIONAL_KINDS that this cluster has, with commas between.
kinds_here() {
    local kind kinds=$KINDS
    for kind in $OPTIONAL_KINDS; do
        if k get "$kind" -o name >/dev/null 2>&1; then kinds="$kinds $kind"; fi
    done
    # shellcheck disable=SC2086  # a list of words
    printf '%s,' $kinds | sed 's/,$//'
}

# What time it is for the cluster, whose times are compared with it: the clock here may be another.
cluster_time() {
    k create configmap speakr-now --dry-run=server -o jsonpath='{.metadata.creationTimestamp}' 2>/dev/null | grep . ||
        date -u +%Y-%m-%dT%H:%M:%SZ
}

# How far a script is that changes releases, for who ends it (leave): "before" anything was changed, "placing", or "decided".
PHASE=

# A folder for what is in passing; it goes with the script.
make_work() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/speakr-deploy.XXXXXX")
    trap leave EXIT
}

leave() {
    local code=$?
    trap '' INT TERM HUP PIPE
    case $PHASE in
    # Whatever ended it: a question that the cluster didn't answer, for instance.
    before) [ "$code" = 0 ] || code=2 ;;
    placing)
        WHY="the deployment broke off; the message above says why"
        code=0
        take_back || code=$?
        ;;
    esac
    release_lock || true
    if [ -n "${WORK:-}" ]; then rm -rf "$WORK"; fi
    if [ -n "$PHASE" ]; then exit "$code"; fi
}

# ---- one at a time

LOCKED_BY_US=

take_lock() {
    local who holder since
    who=$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}' 2>/dev/null || echo unknown)
    HOLDER="$who on $(uname -n), process $$"
    if lease | k create -f - >/dev/null 2>"$WORK/lock.log"; then
        LOCKED_BY_US=1
        return
    fi
    grep -q AlreadyExists "$WORK/lock.log" || die "the lease $MANAGER can't be made: $(cat "$WORK/lock.log")"
    k get lease "$MANAGER" -o json >"$WORK/lease.json" ||
        die "the lease $MANAGER was there a moment ago, and can't be read. Try it again."
    holder=$(jq -r .spec.holderIdentity "$WORK/lease.json")
    since=$(jq -r .spec.acquireTime "$WORK/lease.json")
    if jq -ne --arg since "$since" --arg now "$(cluster_time)" \
        '($now | fromdate) - ($since | sub("\\.[0-9]*Z$"; "Z") | fromdate) > 7200' >/dev/null; then
        say "The lease of $holder, from $since, has run out: taking it."
        # As it was read, or not at all: another may be taking it, too.
        k patch lease "$MANAGER" --type=merge --patch "$(lease |
            jq --slurpfile old "$WORK/lease.json" '{spec, metadata: {resourceVersion: $old[0].metadata.resourceVersion}}')" >/dev/null ||
            die "another deployment took the lease $MANAGER first."
        LOCKED_BY_US=1
        return
    fi
    die "somebody else is deploying: $holder, since $since.
If that was broken off: kubectl --namespace $NAMESPACE delete lease $MANAGER, and then
scripts/deploy/status.sh tells how far it came."
}

lease() {
    jq -n --arg name "$MANAGER" --arg holder "$HOLDER" --arg now "$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)" '{
        apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: {name: $name},
        spec: {holderIdentity: $holder, acquireTime: $now, leaseDurationSeconds: 7200}}'
}

release_lock() {
    [ -n "$LOCKED_BY_US" ] || return 0
    LOCKED_BY_US=
    k get lease "$MANAGER" --ignore-not-found -o json >"$WORK/lease.json" || return
    # Somebody may have taken it (recover.sh --force).
    if [ "$(jq -r .spec.holderIdentity "$WORK/lease.json")" = "$HOLDER" ]; then take_lease_away; fi
}

# Deletes the lease that is in lease.json, and no other that came after it.
take_lease_away() {
    jq '{kind: "DeleteOptions", apiVersion: "v1", preconditions: {uid: .metadata.uid, resourceVersion: .metadata.resourceVersion}}' \
        "$WORK/lease.json" >"$WORK/delete.json"
    kubectl delete --raw "/apis/coordination.k8s.io/v1/namespaces/$NAMESPACE/leases/$MANAGER" --filename "$WORK/delete.json" \
        --request-timeout=60s >/dev/null
}

# ---- manifests

# The objects of $1 as "kind<TAB>name" lines. kustomize writes every object alike.
objects() {
    awk '
        /^---$/ { kind = ""; inside = 0 }
        /^kind: / { kind = $2 }
        /^[^ ]/ { inside = ($0 == "metadata:") }
        inside && /^  name: / { print kind "\t" $2 }
    ' "$1"
}

# The documents of $1 whose kind is one of $2 (kinds with "|" between), or with "not" before, is none.
documents() {
    local file=$1 wanted=1
    shift
    if [ "$1" = not ]; then
        wanted=0
        shift
    fi
    awk -v kinds="|$1|" -v wanted="$wanted" '
        function flush() {
            if (text != "" && (index(kinds, "|" kind "|") > 0) == wanted) printf "---\n%s", text
            text = ""; kind = ""
        }
        /^---$/ { flush(); next }
        /^kind: / { kind = $2 }
        { text = text $0 "\n" }
        END { flush() }
    ' "$file"
}

# The one document of kind $2 and name $3 in $1.
document() {
    awk -v kind="$2" -v name="$3" '
        function flush() {
            if (k == kind && n == name) printf "---\n%s", text
            text = ""; k = ""; n = ""; inside = 0
        }
        /^---$/ { flush(); next }
        /^kind: / { k = $2 }
        /^[^ ]/ { inside = ($0 == "metadata:") }
        inside && /^  name: / { n = $2 }
        { text = text $0 "\n" }
        END { flush() }
    ' "$1"
}

# The images that $1 names, each once.
images_of() { sed -n 's/^ *-\{0,1\} *image: *//p' "$1" | sort -u; }

# Writes the manifests of environment $1 to $3, with the images of file $2 (lines "name=registry/…@sha256:…").
render() {
    local environment=$1 images=$2 out=$3 name image bad overlay
    rm -rf "$WORK/src"
    mkdir -p "$WORK/src/release"
    cp -R "$MANIFESTS/k8s" "$MANIFESTS/deploy" "$WORK/src/"
    overlay=$WORK/src/k8s/overlays/$environment
    if [ -d "$overlay/environment" ]; then
        facts_of "$environment" "$overlay/environment/environment.env"
    fi
    {
        echo "apiVersion: kustomize.config.k8s.io/v1beta1"
        echo "kind: Kustomization"
        echo "resources: [../k8s/overlays/$environment]"
        echo "images:"
        while IFS='=' read -r name image; do
            case $name in "" | "#"*) continue ;; esac
            case $image in
            *@sha256:????????????????????????????????????????????????????????????????) ;;
            *) die "$images: the image of $name is \"$image\"; images are deployed by digest, as in registry/name@sha256:…" ;;
            esac
            printf -- '- name: %s\n  newName: %s\n  digest: %s\n' "$name" "${image%@*}" "${image#*@}"
        done <"$images"
    } >"$WORK/src/release/kustomization.yaml"
    kubectl kustomize "$WORK/src/release" >"$out" ||
        die "the manifests of $environment can't be made; kustomize's message is above."
    bad=$(images_of "$out" | grep -v '@sha256:[0-9a-f]\{64\}$' || true)
    [ -z "$bad" ] || die "these images have no digest: $(words "$bad")
Give each in a file of lines name=registry/name@sha256:…, with --images."
}

# The facts of an environment: those that its overlay knows, and over them those that the cluster has
# in the ConfigMap speakr-environment. Nothing may stay unset.
facts_of() {
    local environment=$1 file=$2 unset
    if ! k get configmap speakr-environment -o json >"$WORK/facts.json" 2>"$WORK/facts.log"; then
        die "the cluster doesn't tell the facts of $environment (ConfigMap speakr-environment): $(cat "$WORK/facts.log")
scripts/deploy/prepare-cluster.sh puts them there, as an administrator."
    fi
    [ "$(jq -r '.data.ENVIRONMENT' "$WORK/facts.json")" = "$environment" ] ||
        die "this cluster is the environment \"$(jq -r '.data.ENVIRONMENT' "$WORK/facts.json")\", not \"$environment\": kubectl's current context is $(kubectl config current-context)."
    jq -r '.data | to_entries[] | "\(.key)=\(.value)"' "$WORK/facts.json" >"$WORK/facts.env"
    # Of several lines for one name the last counts.
    awk -F= '!/^#/ && NF { if (!($1 in at)) order[++n] = $1; at[$1] = $0 }
        END { for (i = 1; i <= n; i++) print at[order[i]] }' "$file" "$WORK/facts.env" >"$WORK/merged.env"
    cp "$WORK/merged.env" "$file"
    unset=$(sed -n 's/=unset$//p' "$file")
    [ -z "$unset" ] || die "of the environment $environment these facts are unset: $(words "$unset")
Terraform's outputs have them; scripts/deploy/prepare-cluster.sh puts them into the cluster."
}

# ---- the record of releases: a ConfigMap each, so that anybody who may deploy can also undo

# Of a release is recorded what it is (speakr.dev/is: its own number, or that of the release that was put back by it) and
# its state (speakr.dev/state):
#
#   running   it was begun                     undoing   it failed, and is being taken back
#   good      it is in place, or was           undone    it was taken back, or left by rollback.sh
#   failed    it failed, and what is live may be of it and of the one before
ALL_STATES="running,good,undoing,undone,failed"

# The number of the last release whose state is one of $1 ("good", …), nothing where there is none.
last_release() {
    k get configmaps --selector "speakr.dev/release,speakr.dev/state in ($1)" -o json |
        jq -r '[.items[].metadata.labels["speakr.dev/release"] | tonumber] | max // empty'
}

# The last good release that is another than the good release $1, and before it.
release_before() {
    k get configmaps --selector "speakr.dev/release,speakr.dev/state=good" -o json | jq -r --arg live "$1" '
        [.items[].metadata.labels | {number: (.["speakr.dev/release"] | tonumber), is: (.["speakr.dev/is"] // .["speakr.dev/release"])}]
        | (first(.[] | select(.number == ($live | tonumber))) | .is) as $is
        | [.[] | select(.number < ($live | tonumber) and .is != $is) | .number] | max // empty'
}

# The last release of all, where it was begun and is neither in place nor taken back: what is live may be of it.
unfinished_release() {
    k get configmaps --selector speakr.dev/release -o json | jq -r '
        [.items[].metadata.labels | {number: (.["speakr.dev/release"] | tonumber), state: .["speakr.dev/state"]}]
        | max_by(.number) | select(. and (.state | IN("running", "undoing", "failed"))) | .number'
}

release_name() { printf 'speakr-release-%05d' "$1"; }

# Records release $1, of the manifests $2 for environment $3; $4 says what it is, $5 which release it puts back.
record_release() {
    local number=$1 manifest=$2 environment=$3 what=$4 is=${5:-$1} name
    name=$(release_name "$number")
    gzip -9 -n -c "$manifest" >"$WORK/manifest.yaml.gz"
    k get deployments,statefulsets --selector app.kubernetes.io/part-of=speakr -o json | jq '
        [.items[] | {kind, name: .metadata.name, replicas: .status.replicas,
            revision: (.metadata.annotations["deployment.kubernetes.io/revision"] // .status.currentRevision),
            images: [.spec.template.spec.containers[].image]}]' >"$WORK/live-before.json"
    k create configmap "$name" --dry-run=client -o json \
        --from-file=manifest.yaml.gz="$WORK/manifest.yaml.gz" \
        --from-file=live-before.json="$WORK/live-before.json" \
        --from-literal=environment="$environment" --from-literal=what="$what" \
        --from-literal=by="$HOLDER" --from-literal=at="$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
        --from-literal=commit="$(git -C "$ROOT" rev-parse HEAD 2>/dev/null || echo unknown)" |
        jq --arg number "$number" --arg is "$is" \
            '.metadata.labels = {"speakr.dev/release": $number, "speakr.dev/is": $is, "speakr.dev/state": "running"}' |
        k create -f - >/dev/null
}

mark_release() { k label configmap "$(release_name "$1")" "speakr.dev/state=$2" --overwrite >/dev/null; }

# Which release that is which release $1 put back, or itself.
is_of_release() {
    k get configmap "$(release_name "$1")" -o json | jq -r '.metadata.labels | .["speakr.dev/is"] // .["speakr.dev/release"]'
}

# Writes the manifests of release $1 to $2.
manifest_of_release() {
    k get configmap "$(release_name "$1")" -o json |
        jq -r '.binaryData["manifest.yaml.gz"]' | base64 -d | gzip -d >"$2"
}

forget_old_releases() {
    k get configmaps --selector speakr.dev/release -o json |
        jq -r --argjson kept "$KEPT_RELEASES" '[.items[].metadata | {number: (.labels["speakr.dev/release"] | tonumber), name}]
            | sort_by(.number) | .[:-$kept][].name' | while read -r name; do
        k delete configmap "$name" >/dev/null || return 1
    done
}
