# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # some of it is of lib.sh, or for who reads this file
# How a release is put in place, watched, and taken back. Read by deploy.sh and rollback.sh, after lib.sh.

# Why the last step failed; the report tells it.
WHY=

# Nobody may be there any more to read it; the release goes on all the same.
report() {
    printf '%s\n' "$*" >>"$WORK/report"
    printf '%s\n' "$*" >&2 || true
}

# A report that can't be written is no reason to go back.
save_report() {
    [ -n "$report_file" ] || return 0
    cp "$WORK/report" "$report_file" || say "The report could not be written to $report_file."
}

# Applies the documents of file $1, with what options of kubectl follow. What somebody else set of it by hand ("rollout
# undo", "set image") is ours again.
apply() {
    local file=$1
    shift
    [ -s "$file" ] || return 0
    k apply --server-side --force-conflicts --validate=strict --field-manager="$MANAGER" "$@" \
        --filename "$file" >"$WORK/apply.log" 2>&1 && return
    if cluster_answers; then
        WHY="the cluster refused a part of it: $(grep -v 'serverside-applied' "$WORK/apply.log" | tail -n 5)"
    else
        WHY="the cluster doesn't answer: $(tail -n 2 "$WORK/answers.log")"
    fi
    return 1
}

# Applies those documents of $1 that $2 and $3 choose, as documents() has it.
apply_part() {
    documents "$@" >"$WORK/part.yaml" && apply "$WORK/part.yaml"
}

# Whether the cluster would take all of $1; nothing is changed.
try_out() {
    documents "$1" not Job >"$WORK/part.yaml"
    apply "$WORK/part.yaml" --dry-run=server || return
    # A Job that is there can't be changed, and is removed before; whether a new one would be taken
    # shows under another name.
    documents "$1" Job | sed 's/^  name: \(.*\)$/  name: \1-try/' >"$WORK/part.yaml"
    apply "$WORK/part.yaml" --dry-run=server
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
        document "$manifest" Job "$name" >"$WORK/part.yaml" && apply "$WORK/part.yaml" || return
        wait_for_job "$name" || return
    done
}

# Waits as long as the Job itself has, and no less than for a rollout. One that hasn't ended by then, or isn't to be waited
# for any more, is taken away: it must change nothing after it was said that it failed.
wait_for_job() {
    local name=$1 began=$SECONDS job limit=$ROLLOUT_TIMEOUT state=""
    STUCK_SINCE=
    while [ "$((SECONDS - began))" -lt "$limit" ]; do
        job=$(k get job "$name" -o json) || job='{}'
        state=$(jq -r '[.status.conditions[]? | select(.status == "True") | .type]
            | if any(. == "Complete") then "done" elif any(. == "Failed") then "failed" else "" end' <<<"$job")
        case $state in
        done) return 0 ;;
        failed)
            WHY="job $name failed. $(job_log "$name")"
            return 1
            ;;
        esac
        limit=$(jq --argjson least "$ROLLOUT_TIMEOUT" '[$least, (.spec.activeDeadlineSeconds // 0) + 30] | max' <<<"$job")
        if [ -n "${INTERRUPTED:-}" ]; then
            end_job "$name" "it was interrupted, at job $name"
            return 1
        fi
        if stuck_pods "batch.kubernetes.io/job-name=$name"; then
            end_job "$name" "job $name: $STUCK"
            return 1
        fi
        sleep 2
    done
    end_job "$name" "job $name was not done after $limit s. $(job_log "$name")"
    return 1
}

# Takes job $1 away for reason $2.
end_job() {
    WHY=$2
    k delete job "$1" --ignore-not-found --cascade=foreground --timeout=120s >/dev/null 2>&1 ||
        WHY="$WHY (and the job couldn't be taken away: it may still be running)"
}

# What a Job said last, or, where it said nothing, what the cluster says of it.
job_log() {
    local log
    log=$(k logs --selector "batch.kubernetes.io/job-name=$1" --tail=5 2>/dev/null | tail -n 5)
    if [ -n "$log" ]; then printf 'The end of its log: %s' "$log"; else why_not_ready; fi
}

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
        state=$(k get deployments,statefulsets,horizontalpodautoscalers -o json | jq -r --argjson names "$names" --arg since "$BEGAN" '
            ([.items[] | select(.kind == "HorizontalPodAutoscaler")
              | {key: "\(.spec.scaleTargetRef.kind)/\(.spec.scaleTargetRef.name)", value: (.spec.minReplicas // 1)}]
             | from_entries) as $least
            | [.items[] | select("\(.kind)/\(.metadata.name)" as $it | $names | index($it))
             | "\(.kind)/\(.metadata.name)" as $name
             | {name: $name, want: ([.spec.replicas // 1, $least[$name] // 0] | max), status, kind,
                seen: (.status.observedGeneration == .metadata.generation)}
             # What is said of the rollout before stays until there is something new to say.
             | .late = (.seen and ([.status.conditions[]? | select(.reason == "ProgressDeadlineExceeded" and .lastUpdateTime > $since)] != []))
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
    local name try
    for name in $(objects "$1" | awk -F'\t' '$1 == "StatefulSet" { print $2 }'); do
        # Its status tells the revision of the template that is there now only a moment after it was applied.
        for try in 1 2 3 4 5 6 7 8 9 10; do
            k get statefulset "$name" -o json >"$WORK/statefulset.json" || continue 2
            jq -e '.status.observedGeneration == .metadata.generation' "$WORK/statefulset.json" >/dev/null && break
            sleep "$try"
        done
        k get pods --selector "app.kubernetes.io/name=$name" -o json | jq -r --slurpfile set "$WORK/statefulset.json" '
            .items[] | select(.metadata.labels["controller-revision-hash"] != $set[0].status.updateRevision)
            | select([.status.conditions[]? | select(.type == "Ready" and .status == "True")] == [])
            | .metadata.name' | while read -r pod; do
            k delete pod "$pod" --wait=false --ignore-not-found >/dev/null
        done
    done
}

# ---- a whole release

# Puts the manifests $1 in place. What a pod needs goes first, then what keeps data, then the Jobs, and the
# services only when all of that is well: a migration that fails has touched no service.
put_in_place() {
    local manifest=$1
    report "  settings, network, volumes: $(objects "$manifest" | wc -l | tr -d ' ') objects"
    apply_part "$manifest" not "Deployment|Job|HorizontalPodAutoscaler|ScaledObject" || return
    wait_for_rollouts "$manifest" StatefulSet || return
    run_jobs "$manifest" || return
    report "  services"
    apply_part "$manifest" "Deployment|HorizontalPodAutoscaler|ScaledObject" || return
    wait_for_rollouts "$manifest" "Deployment|StatefulSet"
}

# Takes away what the cluster has of speakr and $1 doesn't name; settings that $2 (the release before)
# names stay, so that its pods can still be made again. Fails at the first that can't be taken away.
prune() {
    local manifest=$1 before=${2:-/dev/null} kind name
    { objects "$manifest" && objects "$before" | grep '^ConfigMap' || true; } | sort -u >"$WORK/wanted"
    # Of an empty list everything would be taken away.
    if [ ! -s "$WORK/wanted" ]; then
        WHY="it can't be told what the release has"
        return 1
    fi
    k get "$(kinds_here)" --selector 'app.kubernetes.io/part-of=speakr,!speakr.dev/release' -o json |
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

# Release $number is recorded as good: without its record nobody could go back to it, or from it.
mark_good() {
    mark_release "$number" good && return
    if wait_for_cluster && mark_release "$number" good; then return; fi
    WHY="it couldn't be recorded as good"
    return 1
}

# Back to the manifests $1. Nobody can interrupt it: who tells it to end tells it again when it doesn't at once.
undo() {
    local good=$1 tries=3
    trap '' INT TERM HUP PIPE
    INTERRUPTED=
    wait_for_cluster || return
    BEGAN=$(cluster_time)
    until apply_part "$good" not Job; do
        # The cluster may have gone in the middle of it; what it refuses it refuses again.
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return
        sleep 2
        wait_for_cluster || return
    done
    unstick_statefulsets "$good" || true
    wait_for_rollouts "$good" "Deployment|StatefulSet" || return
    prune "$good"
}

cluster_answers() { k get configmaps --selector speakr.dev/release -o name >/dev/null 2>"$WORK/answers.log"; }

# A cluster that doesn't answer is often why a release failed, and may answer soon.
wait_for_cluster() {
    local end=$((SECONDS + ROLLOUT_TIMEOUT))
    until cluster_answers; do
        if [ "$SECONDS" -ge "$end" ]; then
            WHY="the cluster doesn't answer: $(tail -n 2 "$WORK/answers.log")"
            return 1
        fi
        sleep 2
    done
}

# The manifests of what runs, for the undo of a first release by these scripts over what was there before.
snapshot_live() {
    k get "$(kinds_here)" --selector 'app.kubernetes.io/part-of=speakr,!speakr.dev/release' -o json |
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
