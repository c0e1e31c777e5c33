#!/usr/bin/env bash
# Cleans up after a deployment that was broken off (killed, its machine gone), in the middle of a release or of taking one
# back, and after one that couldn't take it back: what ran before is put back.
#
#   scripts/deploy/recover.sh ENVIRONMENT [--force] [--report FILE]
#
# Does nothing where the last release is in place or was taken back. The lease of the one that was broken off is taken away when
# its process was here and is no more; with --force, whoever's it is. Ends with 0: nothing was to be done, or
# what ran before runs again; 2: nothing was changed; 3: going back failed.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/deploy/release.sh
. "$(dirname "${BASH_SOURCE[0]}")/release.sh"

die() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

environment=${1:-}
[ $# -gt 0 ] && shift
force=""
report_file=""
while [ $# -gt 0 ]; do
    case $1 in
    --force) force=1 ;;
    --report)
        report_file=${2:-}
        shift || die "--report wants a file."
        ;;
    *) die "recover.sh knows no \"$1\"; it takes ENVIRONMENT [--force] [--report FILE]." ;;
    esac
    shift
done

# Takes away the lease of a deployment that can't be running any more.
free_lease() {
    local holder process end
    holder=$(holder_of_lease)
    [ -n "$holder" ] || return 0
    process=${holder##*, process }
    case $holder in
    *" on $(uname -n), process "*)
        # It may be going back itself.
        end=$((SECONDS + ROLLOUT_TIMEOUT))
        while kill -0 "$process" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 1; done
        if ! kill -0 "$process" 2>/dev/null; then force=1; fi
        holder=$(holder_of_lease)
        [ -n "$holder" ] || return 0
        ;;
    esac
    [ -n "$force" ] || die "somebody else is deploying: $holder. If that was broken off: scripts/deploy/recover.sh $environment --force"
    say "The lease of $holder is taken away."
    take_lease_away || die "the lease can't be taken away; the message above says why."
}
# … who has it, and the lease in lease.json.
holder_of_lease() {
    k get lease "$MANAGER" --ignore-not-found -o json >"$WORK/lease.json" || return
    jq -r '.spec.holderIdentity // empty' "$WORK/lease.json"
}

main() {
    need_tools
    need_environment "$environment"
    PHASE=before
    make_work
    trap '' PIPE
    local broken before
    free_lease
    broken=$(unfinished_release)
    if [ -z "$broken" ]; then
        say "No deployment to $environment was broken off."
        return 0
    fi
    take_lock
    INTERRUPTED=
    BEGAN=$(cluster_time)
    before=$(last_release good)
    [ -n "$before" ] || die "no good release is recorded before release $broken, which didn't end well: what came of it is left to be looked at (scripts/deploy/status.sh $environment)."
    manifest_of_release "$before" "$WORK/before.yaml"
    step "Release $broken to $environment was broken off"
    report "Release $broken to $environment was begun and didn't end well; $HOLDER cleans up at $BEGAN"
    PHASE=decided
    mark_release "$broken" undoing || true
    if undo "$WORK/before.yaml"; then
        mark_release "$broken" undone || report "  (that couldn't be recorded: try it again)"
        report "Back to release $before:"
        report "$(tell_what_runs)"
        save_report
        return 0
    fi
    mark_release "$broken" failed || true
    report "GOING BACK to release $before FAILED: $WHY"
    report "See docs/runbook.md, \"A release that can't be taken back\"."
    save_report
    return 3
}

main
