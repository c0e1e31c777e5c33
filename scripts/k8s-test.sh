#!/usr/bin/env bash
# Tests of k8s/ and of scripts/deploy: what can be told without a cluster, then on an API server, then on a
# real kubelet with the real programs. Says at the end what it could not run.
#
#   scripts/k8s-test.sh [static] [api] [node] [--long] [--three]
#
# Which Kubernetes: SPEAKR_K8S_RIG names the folder of a rig that starts one here (scripts/k8s-up kwok|node,
# k8s-exec, k8s-down); else KUBECONFIG names one that is there already (kind, for instance) and may be
# filled; of "api" it runs what takes no pods. Without either the first part runs alone. The programs are those of
# target/debug, which 'make programs' builds (SPEAKR_PROGRAMS names another folder). --long adds to "api" what takes
# minutes; --three gives "node" a bus of three servers.
#
# SPEAKR_MAY_LEAVE_OUT names what may be left out where something isn't here, or "none"; any may where it isn't set:
# parts (static, api, node) and what is in them (schemas, alerts, collector, copies, releases, long, policies).

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parts=""
long=""
three=""
for word in "$@"; do
    case $word in
    --long) long=--long ;;
    --three) three=--three ;;
    static | api | node) parts="$parts $word" ;;
    *) die "k8s-test.sh takes static, api, node, --long and --three, not \"$word\"." ;;
    esac
done
parts=${parts:- static api node}
failed=""
not_run=""

# The versions that are installed in /usr/bin may be older than the cluster: the rig's own go first.
rig=${SPEAKR_K8S_RIG:-}
if [ -n "$rig" ]; then
    [ -x "$rig/scripts/k8s-up" ] || die "SPEAKR_K8S_RIG ($rig) has no scripts/k8s-up."
    PATH=$rig/bin:$PATH
    export PATH
    if [ -z "${SPEAKR_K8S_SCHEMAS:-}" ] && [ -d "$rig/schemas-1.34" ]; then export SPEAKR_K8S_SCHEMAS=$rig/schemas-1.34; fi
fi
if [ -z "${SPEAKR_OTELCOL:-}" ] && has otelcol-contrib; then
    SPEAKR_OTELCOL=$(command -v otelcol-contrib)
    export SPEAKR_OTELCOL
fi
scripts/setup.sh k8s

wanted() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac }
part() {
    local name=$1
    shift
    step "Part: $name"
    "$@" || failed="$failed $name"
}
# leave_out PART WHY
leave_out() {
    not_run="$not_run
  $1: $2"
    may_leave_out "$1" || failed="$failed $1"
}

# Runs a command in a network of its own, where the system allows it: the rig's ports are fixed, and
# somebody else's may be there.
alone() {
    if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && unshare -n ip link set lo up 2>/dev/null; then
        # shellcheck disable=SC2016  # the inner shell expands it
        unshare -n bash -c 'ip link set lo up && exec "$@"' alone "$@"
    else
        "$@"
    fi
}

# What goes into images beside the programs: brought now, for the rig has no network of its own.
have_parts() {
    local tool
    for tool in nats postgres s3; do scripts/tools.sh --fetch "$tool" >/dev/null || return; done
}

# Starts the rig in mode $1, runs the rest in it, and ends it.
in_rig() {
    local mode=$1 run result=0 try
    shift
    mkdir -p "$TARGET_DIR"
    run=$(mktemp -d "$TARGET_DIR/k8s-run.XXXXXX")
    export RIG_RUN=$run/rig
    for try in 1 2 3; do
        result=1
        "$rig/scripts/k8s-up" "$mode" >&2 || break
        # On a machine that is very busy a controller may have given up while the API server was starting:
        # then nothing makes the service account of a namespace.
        if "$rig/scripts/k8s-exec" kubectl wait --for=create serviceaccount/default --namespace=default --timeout=30s >/dev/null 2>&1; then
            "$rig/scripts/k8s-exec" "$@" && result=0
            break
        fi
        say "The cluster's controllers didn't start (try $try of 3)."
        "$rig/scripts/k8s-down" >&2 || true
    done
    "$rig/scripts/k8s-down" >&2 || true
    rm -rf "$run"
    return "$result"
}

if wanted static; then
    if has kubectl; then part static scripts/k8s/static.sh; else
        leave_out static "kubectl isn't here, and makes the manifests (https://kubernetes.io/docs/tasks/tools)."
    fi
fi

if wanted api; then
    if [ -n "$rig" ]; then
        export -f in_rig
        export rig TARGET_DIR
        # shellcheck disable=SC2016  # the inner shell expands it
        part api alone bash -c 'set -euo pipefail; in_rig kwok "$@"' api "$ROOT/scripts/k8s/api.sh" $long
    elif [ -n "${KUBECONFIG:-}" ]; then
        part api scripts/k8s/api.sh
    else
        leave_out api "there is no Kubernetes here (SPEAKR_K8S_RIG, or KUBECONFIG)."
    fi
fi

if wanted node; then
    programs=${SPEAKR_PROGRAMS:-$TARGET_DIR/debug}
    export SPEAKR_PROGRAMS=$programs
    if [ ! -x "$programs/speakr" ] || [ ! -x "$programs/speakr-transcriber" ]; then
        leave_out node "there are no programs in $programs ('make programs' builds them)."
    elif ! have_parts; then
        failed="$failed node"
    elif [ -n "$rig" ] && [ "$(id -u)" = 0 ] && has containerd; then
        # Nothing in the rig enforces network policies, but a program beside it; its volumes are folders.
        run_node() {
            SPEAKR_VOLUMES=/tmp/hostpath_pv SPEAKR_NETPOL="python3 $rig/scripts/netpol-nft.py https://127.0.0.1:16443 $RIG_RUN/pki/ca.crt $RIG_RUN/pki/admin.crt $RIG_RUN/pki/admin.key" \
                "$ROOT/scripts/k8s/node.sh" $three
        }
        export -f run_node
        export rig ROOT three
        part node in_rig node -m bash -c 'set -euo pipefail; run_node'
    elif [ -n "$rig" ]; then
        leave_out node "the rig's containers take root, and containerd with its kin ($rig/scripts/k8s-deps)."
    elif [ -n "${KUBECONFIG:-}" ]; then
        part node scripts/k8s/node.sh $three
    else
        leave_out node "there is no Kubernetes here (SPEAKR_K8S_RIG, or KUBECONFIG)."
    fi
fi

say ""
if [ -n "$not_run" ]; then say "Not run:$not_run"; fi
[ -z "$failed" ] || die "failed:$failed"
say "k8s-test: all that was run passed."
