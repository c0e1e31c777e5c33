#!/usr/bin/env bash
# Runs a command with a Kubernetes of its own: kind, a registry that its nodes know, and its Services and names reachable
# from here, as scripts/k8s/node.sh wants them.
#
#   .github/scripts/kind.sh COMMAND…
#
# For a machine that is thrown away afterwards (Linux, Docker, sudo): it changes routes and names.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
[ $# -gt 0 ] || die "kind.sh takes a COMMAND."
need docker kind kubectl
PATH=$(scripts/tools.sh crane):$PATH

registry=localhost:5001
name=speakr-test
server=""
images=$(mktemp -d "${TMPDIR:-/tmp}/speakr-registry.XXXXXX")
leave() {
    kind delete cluster --name "$name" >&2 || true
    if [ "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$images"
}
trap leave EXIT
# crane's own, whose checksum is known (scripts/tools.sh): the node reaches it by this machine's address in its network.
crane registry serve --address :5001 --disk "$images" &
server=$!

kind create cluster --name "$name" --wait 120s --config - >&2 <<'Y'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  # Of kind, which enforces network policies.
  disableDefaultCNI: false
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
Y
node=$(kind get nodes --name "$name")
here=$(docker network inspect kind --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -m1 '\.')
# containerd asks there when an image is of localhost:5001.
printf '[host."http://%s:5001"]\n' "$here" |
    docker exec --interactive "$node" sh -c "mkdir -p /etc/containerd/certs.d/$registry && cat >/etc/containerd/certs.d/$registry/hosts.toml"

# Services by their addresses, and by their names.
address=$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$node")
sudo ip route replace 10.96.0.0/16 via "$address"
sudo ip route replace 10.244.0.0/16 via "$address"
bridge=$(ip -o route get "$address" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
sudo resolvectl dns "$bridge" 10.96.0.10
sudo resolvectl domain "$bridge" '~cluster.local'

KUBECONFIG=$(mktemp "${TMPDIR:-/tmp}/speakr-kind.XXXXXX")
kind get kubeconfig --name "$name" >"$KUBECONFIG"
export KUBECONFIG SPEAKR_TEST_REGISTRY=$registry SPEAKR_CLUSTER_ENFORCES_POLICIES=1

# For kubeconform: what this API server says of its kinds.
SPEAKR_K8S_SCHEMAS=$(mktemp -d "${TMPDIR:-/tmp}/speakr-schemas.XXXXXX")
kubectl get --raw /openapi/v2 | scripts/k8s/make_schemas.py "$SPEAKR_K8S_SCHEMAS"
export SPEAKR_K8S_SCHEMAS
"$@"
