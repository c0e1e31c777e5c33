# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153  # some of it is of lib.sh, or for who reads this file
# How a release is put in place, watched, and taken back. Read by deploy.sh and rollback.sh, after lib.sh.

# Why the last step failed; the report tells it.
WHY=

report() { printf '%s\n' "$*" | tee -a "$WORK/report" >&2; }

# Applies the documents on standard input. What somebody else set of it by hand ("rollout undo",
# "set image") is ours again.
apply() {
    cat >"$WORK/apply.yaml"
    [ -s "$WORK/apply.yaml" ] || return 0
    k apply --server-side --force-conflicts --validate=strict --field-manager="$MANAGER" "$@" \
        --filename "$WORK/apply.yaml" >"$WORK/apply.log" 2>&1 && return
    WHY="the cluster refused a part of it: $(grep -v 'serverside-applied$' "$WORK/apply.log" | tail -n 5)"
    return 1
}

# Whether the cluster would take all of $1; nothing is changed.
try_out() {
    documents "$1" not Job | apply --dry-run=server || return
    # A Job that is there can't be changed, and is removed before; whether a new one would be taken
    # shows under another name.
    documents "$1" Job | sed 's/^  name: \(.*\)$/  name: \1-try/' | apply --dry-run=server
}

# ---- Jobs

# Runs the Jobs of $1, in the order of their names, each after the one before is done.
run_jobs() {
    local manifest=$1 name
    for name in $(objects "$manifest" | awk -F'\t' '$1 == "Job" { print $2 }' | sort); do
        report "  job $name"
        k delete job "$name" --ignore-not-found --cascade=foreground --timeout=120s >/dev/null 2>&1 || {
            WHY="the last job $name can't be removed"
            return 1
        }
        document "$manifest" Job "$name" | apply || return
        wait_for_job "$name" || return
    done
}

wait_for_job() {
    local name=$1 end=$((SECONDS + ROLLOUT_TIMEOUT)) state=""
    STUCK_SINCE=
    while [ "$SECONDS" -lt "$end" ]; do
        state=$(k get job "$name" -o json | jq -r '[.status.conditions[]? | select(.status == "True") | .type]
            | if any(. == "Complete") then "done" elif any(. == "Failed") then "failed" else "" end')
        case $state in
        done) return 0 ;;
        failed) break ;;
        esac
        if stuck_pods "batch.kubernetes.io/job-name=$name"; then
            WHY="job $name: $STUCK"
            return 1
        fi
        sleep 2
    done
    [ -n "$state" ] || state="was not done after $ROLLOUT_TIMEOUT s"
    WHY="job $name $state. The end of its log: $(job_log "$name")"
    return 1
}

job_log() { k logs --selector "batch.kubernetes.io/job-name=$1" --tail=5 2>/dev/null | tail -n 5; }

# ---- rollouts

# Whether a pod (selected by $1) of this release will not come up by itself: it crashes again and again, or
# its image or settings can't be had for longer than is to be expected. STUCK says which and why. (Call it
# in this shell: it remembers since when.)
STUCK=
STUCK_SINCE=
stuck_pods() {
    local found
    found=$(k get pods --selector "$1" -o json | jq -r --arg since "$BEGAN" '
        [.items[] | select(.metadata.creationTimestamp >= $since and .metadata.deletionTimestamp == null)
         | .metadata.name as $pod
         | (.status.initContainerStatuses // []) + (.status.containerStatuses // []) | .[]
         | select(.state.waiting.reason // "" | test("^(CrashLoopBackOff|ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName|CreateContainerConfigError|CreateContainerError|RunContainerError)$"))
         | {pod: $pod, reason: .state.waiting.reason, crashes: .restartCount, image,
            message: (.lastState.terminated.message // .state.waiting.message // "")}]
        | (map(select(.reason == "CrashLoopBackOff" and .crashes >= 2)) | first | if . then
              "now\tpod \(.pod) has crashed \(.crashes) times" else empty end),
          (map(select(.reason != "CrashLoopBackOff")) | first | if . then
              "later\tpod \(.pod): \(.reason) of \(.image): \(.message | .[0:200])" else empty end)' | sed -n 1p) || return 1
    STUCK=${found#*$'\t'}
    case $found in
    now*) return 0 ;;
    later*)
        STUCK_SINCE=${STUCK_SINCE:-$SECONDS}
        # A registry that doesn't answer may answer soon.
        [ "$((SECONDS - STUCK_SINCE))" -ge "$PATIENCE" ]
        ;;
    *)
        STUCK_SINCE=
        return 1
        ;;
    esac
}

# Waits until what $1 names of kinds $2 ("Deployment|StatefulSet") is rolled out, all at the same time, and
# each with as many as its autoscaler wants at least: it says so some seconds after a first release, which
# is not in place while half of it is missing.
wait_for_rollouts() {
    local names end=$((SECONDS + ROLLOUT_TIMEOUT)) state
    names=$(objects "$1" | awk -F'\t' -v kinds="|$2|" 'index(kinds, "|" $1 "|") { print $1 "/" $2 }' | jq -R . | jq -sc .)
    [ "$names" != "[]" ] || return 0
    STUCK_SINCE=
    while :; do
        # What isn't there yet, a line each.
        state=$(k get deployments,statefulsets,horizontalpodautoscalers -o json | jq -r --argjson names "$names" '
            ([.items[] | select(.kind == "HorizontalPodAutoscaler")
              | {key: "\(.spec.scaleTargetRef.kind)/\(.spec.scaleTargetRef.name)", value: (.spec.minReplicas // 1)}]
             | from_entries) as $least
            | [.items[] | select("\(.kind)/\(.metadata.name)" as $it | $names | index($it))
             | "\(.kind)/\(.metadata.name)" as $name
             | {name: $name, want: ([.spec.replicas // 1, $least[$name] // 0] | max), status, kind,
                seen: (.status.observedGeneration == .metadata.generation)}
             | .late = (.seen and ([.status.conditions[]? | select(.reason == "ProgressDeadlineExceeded")] != []))
             | .done = (.seen and (.status.updatedReplicas // 0) == .want
                 and (.status.availableReplicas // 0) == .want
                 and (if .kind == "StatefulSet" then .status.currentRevision == .status.updateRevision
                      else (.status.replicas // 0) == .want end))
             | select(.done | not)
             | "\(if .late then "late" else "wait" end)\t\(.name): \(.status.updatedReplicas // 0) of \(.want) new, \(.status.availableReplicas // 0) available"]
            | .[]') || state="wait	the cluster doesn't answer"
        [ -n "$state" ] || return 0
        case $state in late*)
            WHY="$(sed -n 's/^late\t//p' <<<"$state" | sed -n 1p); it made no progress for longer than its progressDeadlineSeconds. $(why_not_ready)"
            return 1
            ;;
        esac
        if [ -n "${INTERRUPTED:-}" ]; then
            WHY="it was interrupted"
            return 1
        fi
        if stuck_pods app.kubernetes.io/part-of=speakr; then
            WHY="$STUCK. $(last_words)"
            return 1
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            WHY="not rolled out after $ROLLOUT_TIMEOUT s: $(printf '%s' "$state" | cut -f2 | paste -sd ';' -). $(why_not_ready)"
            return 1
        fi
        sleep 2
    done
}

# What a pod that crashed said last.
last_words() {
    local pod
    pod=$(printf '%s' "$STUCK" | sed -n 's/^pod \([^ ]*\) has crashed.*/\1/p')
    [ -n "$pod" ] || return 0
    printf 'The end of its log: %s' "$(k logs "$pod" --previous --tail=3 2>/dev/null | tail -n 3)"
}

# What the cluster says of pods of this release that aren't ready.
why_not_ready() {
    k get events -o json 2>/dev/null | jq -r --arg since "$BEGAN" '
        [.items[] | select(.type == "Warning" and .involvedObject.kind == "Pod"
            and ((.lastTimestamp // .eventTime // "") >= $since))]
        | sort_by(.lastTimestamp // .eventTime) | last
        | if . then "The cluster says last: \(.involvedObject.name): \(.reason): \(.message | .[0:300])" else "" end'
}

# A StatefulSet whose new pod never came up doesn't replace it when the old template comes back: the pod
# has to go first.
unstick_statefulsets() {
    local name
    for name in $(objects "$1" | awk -F'\t' '$1 == "StatefulSet" { print $2 }'); do
        k get statefulset "$name" -o json >"$WORK/statefulset.json" || continue
        k get pods --selector "app.kubernetes.io/name=$name" -o json | jq -r --slurpfile set "$WORK/statefulset.json" '
            .items[] | select(.metadata.labels["controller-revision-hash"] != $set[0].status.updateRevision)
            | select([.status.conditions[]? | select(.type == "Ready" and .status == "True")] == [])
            | .metadata.name' | while read -r pod; do
            k delete pod "$pod" --wait=false >/dev/null
        done
    done
}

# ---- a whole release

# Puts the manifests $1 in place. What a pod needs goes first, then what keeps data, then the Jobs, and the
# services only when all of that is well: a migration that fails has touched no service.
put_in_place() {
    local manifest=$1
    report "  settings, network, volumes: $(objects "$manifest" | wc -l | tr -d ' ') objects"
    documents "$manifest" not "Deployment|Job|HorizontalPodAutoscaler|ScaledObject" | apply || return
    wait_for_rollouts "$manifest" StatefulSet || return
    if [ "${2:-}" != without-jobs ]; then run_jobs "$manifest" || return; fi
    report "  services"
    documents "$manifest" "Deployment|HorizontalPodAutoscaler|ScaledObject" | apply || return
    wait_for_rollouts "$manifest" "Deployment|StatefulSet"
}

# Takes away what the cluster has of speakr and $1 doesn't name; settings that $2 (the release before)
# names stay, so that its pods can still be made again. Fails at the first that can't be taken away.
prune() {
    local manifest=$1 before=${2:-/dev/null} kinds=$KINDS kind name
    { objects "$manifest" && objects "$before" | grep '^ConfigMap' || true; } | sort -u >"$WORK/wanted"
    # Of an empty list everything would be taken away.
    if [ ! -s "$WORK/wanted" ]; then
        WHY="it can't be told what the release has"
        return 1
    fi
    for kind in $OPTIONAL_KINDS; do
        if k get "$kind" -o name >/dev/null 2>&1; then kinds="$kinds $kind"; fi
    done
    # shellcheck disable=SC2086  # a list of words
    k get "$(printf '%s,' $kinds | sed 's/,$//')" --selector 'app.kubernetes.io/part-of=speakr,!speakr.dev/release' -o json |
        jq -r '.items[] | select(.metadata.ownerReferences == null) | "\(.kind)\t\(.metadata.name)"' |
        sort -u | comm -23 - "$WORK/wanted" >"$WORK/gone" || {
        WHY="what the release doesn't have any more can't be looked for"
        return 1
    }
    while IFS=$'\t' read -r kind name; do
        report "  removing $kind $name, which the release doesn't have"
        k delete "$kind" "$name" --timeout=120s >/dev/null 2>"$WORK/prune.log" || {
            WHY="$kind $name, which the release doesn't have, can't be removed: $(tail -n 3 "$WORK/prune.log")"
            return 1
        }
    done <"$WORK/gone"
}

# Back to the manifests $1, from the failed $2.
undo() {
    local good=$1
    BEGAN=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    INTERRUPTED=
    documents "$good" not Job | apply || return
    unstick_statefulsets "$good"
    wait_for_rollouts "$good" "Deployment|StatefulSet" || return
    prune "$good"
}

# The manifests of what runs, for the undo of a first release by these scripts over what was there before.
snapshot_live() {
    # shellcheck disable=SC2086  # a list of words
    k get "$(printf '%s,' $KINDS | sed 's/,$//')" --selector 'app.kubernetes.io/part-of=speakr,!speakr.dev/release' -o json |
        jq -c '.items as $all | .items[] | select(.metadata.ownerReferences == null and .kind != "Job")
            | . as $it
            | del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.generation,
                  .metadata.creationTimestamp, .metadata.managedFields, .spec.clusterIP, .spec.clusterIPs,
                  .metadata.annotations["deployment.kubernetes.io/revision"])
            # The autoscaler says how many there are, where there is one.
            | if any($all[]; .kind == "HorizontalPodAutoscaler" and .spec.scaleTargetRef.name == $it.metadata.name)
              then del(.spec.replicas) else . end' |
        while read -r object; do
            # As kustomize writes it, as far as objects() and documents() read it.
            printf -- '---\nkind: %s\nmetadata:\n  name: %s\n' "$(jq -r .kind <<<"$object")" "$(jq -r .metadata.name <<<"$object")"
            jq -r 'del(.kind, .metadata.name) | .metadata as $m
                | "  labels: \($m.labels // {} | tojson)", "  annotations: \($m.annotations // {} | tojson)",
                  (del(.metadata) | to_entries[] | "\(.key): \(.value | tojson)")' <<<"$object"
        done
}

# What runs afterwards, for the report.
tell_what_runs() {
    k get deployments,statefulsets --selector app.kubernetes.io/part-of=speakr -o json | jq -r '.items[]
        | "  \(.kind)/\(.metadata.name): \(.status.availableReplicas // 0) of \(.spec.replicas) available, revision \(.metadata.annotations["deployment.kubernetes.io/revision"] // .status.currentRevision), \([.spec.template.spec.containers[].image | sub("^.*/"; "") | sub("sha256:(?<d>.{12}).*"; "sha256:\(.d)…")] | join(" "))"'
}
