#!/usr/bin/env bash
# Runs a command in a pod that the network policies and the cloud take for one of a service, and prints what it says:
# who reaches what, and who may read what, is asked so. (The services' own images have no shell.)
#
#   scripts/deploy/as-pod.sh [--namespace NAMESPACE] [--secrets CLASS] IMAGES NAME COMMAND
#
# IMAGES is the list of images of the release (NAME=registry/NAME@sha256:… lines), of which speakr-postgres has a shell
# and psql; NAME is the service, as in speakr-embedder; COMMAND is for sh. --secrets mounts what the SecretProviderClass
# CLASS names in /etc/speakr/secrets, as the service's account. In another namespace than speakr no policy of ours
# holds, and there it is the account "default".
#
#   scripts/deploy/as-pod.sh images.env speakr-transcriber 'pg_isready --host DATABASE --timeout 5'
#
# For administrators: who deploys can't make pods. Ends with the command's exit code, or 125 where the pod didn't start
# in SPEAKR_POD_PATIENCE seconds (90); why is told. The pod is never ready, so no Service sends to it, and is deleted.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

secrets=""
while [ $# -gt 0 ]; do
    case $1 in
    --namespace) NAMESPACE=${2:?--namespace takes a NAMESPACE} ;;
    --secrets) secrets=${2:?--secrets takes a CLASS} ;;
    *) break ;;
    esac
    shift 2
done
[ $# = 3 ] || die "as-pod.sh takes [--namespace NAMESPACE] [--secrets CLASS] IMAGES NAME COMMAND."
images=$1 name=$2 command=$3
need_tools
[ -s "$images" ] || die "there is no list of images $images."
image=$(sed -n 's/^speakr-postgres=//p' "$images")
[ -n "$image" ] || die "$images doesn't name speakr-postgres, the image that has a shell."
pod=try-$name
account=$name
if [ "$NAMESPACE" != speakr ]; then account=default; fi

# The network policies get to a new pod a moment after its start, and until then it may do everything.
command="sleep 5; $command"

trap 'k delete pod "$pod" --ignore-not-found --grace-period=1 >/dev/null' EXIT
jq -n --arg pod "$pod" --arg name "$name" --arg account "$account" --arg image "$image" --arg command "$command" --arg secrets "$secrets" '{
    apiVersion: "v1", kind: "Pod", metadata: {name: $pod, labels: {"app.kubernetes.io/name": $name}},
    spec: ({
        serviceAccountName: $account, automountServiceAccountToken: false, enableServiceLinks: false, restartPolicy: "Never",
        readinessGates: [{conditionType: "speakr.dev/never"}],
        securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: "RuntimeDefault"}},
        containers: [{
            name: "try", image: $image, command: ["/bin/sh", "-c", $command],
            resources: {requests: {cpu: "10m", memory: "32Mi"}, limits: {memory: "128Mi"}},
            securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: ["ALL"]}}
        }]}
        | if $secrets == "" then . else
            .volumes = [{name: "secrets", csi: {driver: "secrets-store.csi.k8s.io", readOnly: true, volumeAttributes: {secretProviderClass: $secrets}}}]
            | .containers[0].volumeMounts = [{name: "secrets", mountPath: "/etc/speakr/secrets", readOnly: true}]
          end)}' | k create --filename - >/dev/null

end=$((SECONDS + ${SPEAKR_POD_PATIENCE:-90}))
phase=""
while [ "$SECONDS" -lt "$end" ]; do
    phase=$(k get pod "$pod" -o jsonpath='{.status.phase}')
    case $phase in Succeeded | Failed) break ;; esac
    sleep 1
done
case $phase in
Succeeded | Failed)
    k logs "$pod"
    exit "$(k get pod "$pod" -o jsonpath='{.status.containerStatuses[0].state.terminated.exitCode}')"
    ;;
esac
k logs "$pod" 2>/dev/null || true
k get events --field-selector "involvedObject.name=$pod,type=Warning" -o json | jq -r '.items[] | "\(.reason): \(.message)"' >&2
say "The pod is $phase after ${SPEAKR_POD_PATIENCE:-90} s."
exit 125
