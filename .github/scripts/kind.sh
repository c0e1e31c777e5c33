#!/usr/bin/env bash
# Runs a command with a Kubernetes of its own: kind, and a registry that its nodes know. The command runs as root in the
# network of the cluster's node, with the cluster's names, as scripts/k8s/node.sh wants it: there Services are reached by
# their addresses, and what the node's own root sends is what no network policy keeps out.
#
#   .github/scripts/kind.sh COMMAND…
#
# For a machine that is thrown away afterwards (Linux, Docker, sudo).

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
[ $# -gt 0 ] || die "kind.sh takes a COMMAND."
need docker kind kubectl
PATH=$(scripts/tools.sh crane):$PATH

name=speakr-test
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-kind.XXXXXX")
leave() {
    kind delete cluster --name "$name" >&2 || true
    # The registry, which root started.
    sudo pkill -f "crane registry serve --address 127.0.0.1:5001" || true
    sudo rm -rf "$work"
}
trap leave EXIT

# kind's own network enforces network policies.
kind create cluster --name "$name" --wait 120s >&2
pid=$(docker inspect --format '{{.State.Pid}}' "$(kind get nodes --name "$name")")
# The API server as its node reaches it.
kind get kubeconfig --name "$name" | sed 's#server: https://.*#server: https://127.0.0.1:6443#' >"$work/kubeconfig"
# The cluster's names; what isn't of it, its server asks where the node asks.
printf 'nameserver 10.96.0.10\nsearch svc.cluster.local\n' >"$work/resolv.conf"

# As root in the node's network, and with the names of the cluster.
inside() {
    # shellcheck disable=SC2016  # the inner shell expands it
    sudo --preserve-env env "PATH=$PATH" "HOME=$HOME" nsenter --target "$pid" --net -- unshare --mount bash -c '
        mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"' "$work/resolv.conf" "$@"
}
# crane's own registry, whose checksum is known (scripts/tools.sh): the node's containerd takes what is at "localhost"
# without TLS.
inside crane registry serve --address 127.0.0.1:5001 --disk "$work/registry" &

KUBECONFIG=$work/kubeconfig
export KUBECONFIG SPEAKR_TEST_REGISTRY=localhost:5001 SPEAKR_CLUSTER_ENFORCES_POLICIES=1

# For kubeconform: what this API server says of its kinds.
SPEAKR_K8S_SCHEMAS=$work/schemas
mkdir "$SPEAKR_K8S_SCHEMAS"
export SPEAKR_K8S_SCHEMAS
inside kubectl get --raw /openapi/v2 | scripts/k8s/make_schemas.py "$SPEAKR_K8S_SCHEMAS"
inside "$@"
