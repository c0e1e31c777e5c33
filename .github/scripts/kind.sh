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
leave() {
    kind delete cluster --name "$name" >&2 || true
    docker rm --force "$name-registry" >/dev/null 2>&1 || true
}
trap leave EXIT
docker run --detach --name "$name-registry" --publish 127.0.0.1:5001:5000 registry:3 >/dev/null

# containerd asks the registry's container when an image is of localhost:5001.
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
docker network connect kind "$name-registry"
node=$(kind get nodes --name "$name")
printf '[host."http://%s-registry:5000"]\n' "$name" |
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
