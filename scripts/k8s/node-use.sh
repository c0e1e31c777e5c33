# shellcheck shell=bash
# shellcheck disable=SC2154  # what it works with is of node-lib.sh
# What containers take, for scripts/k8s/node.sh: by their control groups, where those can be read here.

control_groups() {
    if [ -d /sys/fs/cgroup/memory ]; then echo /sys/fs/cgroup/memory; else echo /sys/fs/cgroup; fi
}
group_of() { # CONTAINER ID
    find "$(control_groups)" -type d -name "*$1*" 2>/dev/null | sed -n 1p
}
peak_mib() { # CONTROL GROUP
    local bytes
    bytes=$(cat "$1/memory.max_usage_in_bytes" 2>/dev/null || cat "$1/memory.peak" 2>/dev/null || echo 0)
    echo "$((bytes / 1048576))"
}

# Of pods that are gone before anybody asks: what those whose names begin with $1 have taken at most, a line each time, as
# long as $work/looking is there.
note_use_of() {
    local id folder
    while [ -e "$work/looking" ]; do
        k get pods -o json 2>/dev/null | jq -r --arg of "$1" '.items[] | select(.metadata.name | startswith($of))
            | .status.containerStatuses[]? | select(.state.running) | .containerID | sub("^.*//"; "")' |
            while read -r id; do
                folder=$(group_of "$id")
                if [ "$folder" ]; then peak_mib "$folder"; fi
            done
        sleep 0.3
    done
}

# What each container has taken at most.
tell_use() {
    local name folder rss cpu id count limit
    printf '  %-28s %10s %10s %10s %10s\n' container "peak MiB" "limit MiB" "CPU s" restarts >&2
    k get pods -o json | jq -r '.items[] | select(.status.phase == "Running") | .metadata.name as $pod
        | .spec.containers as $spec | .status.containerStatuses[]
        | [$pod, .name, (.containerID | sub("^.*//"; "")), .restartCount,
           (.name as $n | $spec[] | select(.name == $n) | .resources.limits.memory)] | @tsv' |
        while IFS=$'\t' read -r _ name id count limit; do
            folder=$(group_of "$id")
            [ -n "$folder" ] || continue
            rss=$(awk '$1 == "total_rss" || $1 == "anon" { print $2; exit }' "$folder/memory.stat" 2>/dev/null || echo 0)
            cpu=$(awk '/usage_usec/ { printf "%.1f", $2 / 1e6 }' "$folder/cpu.stat" 2>/dev/null || true)
            [ -n "$cpu" ] || cpu=$(awk '{ printf "%.1f", $1 / 1e9 }' "$(printf '%s' "$folder" | sed 's#/memory/#/cpuacct/#')/cpuacct.usage" 2>/dev/null || echo '?')
            printf '  %-28s %10s %10s %10s %10s   now without cache: %s MiB\n' "$name" "$(peak_mib "$folder")" "$limit" "$cpu" "$count" "$((${rss:-0} / 1048576))" >&2
        done
    if [ -s "$work/validate-use.log" ]; then
        printf '  %-28s %10s   while it ran\n' validate "$(sort -n "$work/validate-use.log" | tail -n 1)" >&2
    fi
}

# With the speech model of the file $1, as releases' images have a larger one than the repository: it is deployed like
# any, and makes the text of six files at once within the same limit.
larger_model() {
    local name image it said=()
    # As the registry knows it by its digest: one name of a file may be of several models.
    name=$(awk -F'"' -v digest="$(sha256sum <"$1" | cut -d' ' -f1)" '/^id = / { id = $2 } /^sha256 = / && $2 == digest { print id; exit }' \
        "$ROOT/crates/adapters/models/src/registry.toml")
    [ -n "$name" ] || die "the registry of models knows no $1."
    image=$(scripts/k8s/images.sh --transcriber "$1" "$programs" "$work/images-larger") || die "$image"
    image=$(push "$work/images-larger/speakr-transcriber" speakr-transcriber)
    sed "s#^speakr-transcriber=.*#$image#" "$work/images-2.env" >"$work/images-larger.env"
    ends_with 0 "deploy puts a transcriber with $name in place" deploy --images "$work/images-larger.env"
    for it in 1 2 3 4 5 6; do
        CLIENT=larger-$it client transcribe --json "$ROOT/assets/speech/jfk.wav" >"$work/larger-$it" 2>"$work/larger-$it.log" &
        said+=("$work/larger-$it")
    done
    wait_for_jobs
    equal "six files at once, by $name" 6 "$(grep -li 'what you can do for your country' "${said[@]}" | wc -l | tr -d ' ')"
    equal "… of the model that was asked for" "$name" "$(jq -r .model "$work/larger-1")"
    equal "containers that had to be started again" 0 "$(restarts)"
}
