#!/usr/bin/env bash
# What runs in an environment, which releases are recorded, and what isn't well.
#
#   scripts/deploy/status.sh ENVIRONMENT
#
# Ends with 0 when all of it is well, else with 1.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_tools
environment=${1:-}
need_environment "$environment"
make_work

k get deployments,statefulsets,jobs --selector app.kubernetes.io/part-of=speakr -o json >"$WORK/workloads.json"
k get pods --selector app.kubernetes.io/part-of=speakr -o json >"$WORK/pods.json"
k get configmaps --selector speakr.dev/release -o json >"$WORK/releases.json"

echo "Releases ($environment):"
jq -r '.items | sort_by(.metadata.labels["speakr.dev/release"] | tonumber)[]
    | "  \(.metadata.labels["speakr.dev/release"])  \(.metadata.labels["speakr.dev/state"])  \(.data.at)  \(.data.commit[0:12])  \(.data.what)"' "$WORK/releases.json"

echo "Workloads:"
jq -r '.items[] | select(.kind != "Job")
    | "  \(.kind)/\(.metadata.name)\t\(.status.availableReplicas // 0)/\(.spec.replicas) available\trevision \(.metadata.annotations["deployment.kubernetes.io/revision"] // .status.currentRevision)\t\([.spec.template.spec.containers[].image | sub("^.*/"; "") | sub("sha256:(?<d>.{12}).*"; "sha256:\(.d)")] | join(" "))"' "$WORK/workloads.json" | column -t -s $'\t'
jq -r '.items[] | select(.kind == "Job")
    | "  Job/\(.metadata.name)  \([.status.conditions[]? | select(.status == "True") | .type] | if index("Complete") then "done" elif index("Failed") then "FAILED" else "running" end)"' "$WORK/workloads.json"

bad=$(
    jq -r '.items[] | select(.kind != "Job") | select((.status.availableReplicas // 0) < .spec.replicas)
        | "  \(.kind)/\(.metadata.name): \(.status.availableReplicas // 0) of \(.spec.replicas) available"' "$WORK/workloads.json"
    jq -r '.items[] | select(.status.phase != "Succeeded" and .metadata.deletionTimestamp == null)
        | select([.status.conditions[]? | select(.type == "Ready" and .status == "True")] == [])
        | "  pod \(.metadata.name): \(.status.phase)\([(.status.initContainerStatuses // [])[], (.status.containerStatuses // [])[] | .state.waiting // empty | ", \(.reason)"] | join(""))"' "$WORK/pods.json"
    unfinished=$(unfinished_release)
    if [ -n "$unfinished" ]; then
        echo "  release $unfinished was begun, and neither is it in place nor was it taken back: scripts/deploy/recover.sh $environment"
    fi
)
if [ -z "$bad" ]; then
    echo "All of it is well."
else
    echo "Not well:"
    printf '%s\n' "$bad"
    exit 1
fi
