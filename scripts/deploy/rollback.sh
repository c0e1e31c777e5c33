#!/usr/bin/env bash
# Back to an earlier release: the one that is named, or the one before what is live; where the last release failed and
# couldn't be taken back, the last good one.
#
#   scripts/deploy/rollback.sh ENVIRONMENT [RELEASE] [--report FILE]
#
# Manifests and images are those that were recorded; no migration runs, because the schema only goes
# forward and the services before can use it. Ends as deploy.sh does.

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
wanted=""
report_file=""
before="" number="" started=0
while [ $# -gt 0 ]; do
    case $1 in
    --report)
        report_file=${2:-}
        shift 2 || die "--report wants a file."
        ;;
    *[!0-9]* | "") die "rollback.sh knows no \"$1\"; it takes ENVIRONMENT [RELEASE] [--report FILE]." ;;
    *)
        wanted=$1
        shift
        ;;
    esac
done

main() {
    need_tools
    need_environment "$environment"
    PHASE=before
    make_work
    INTERRUPTED=
    trap 'INTERRUPTED=1' INT TERM HUP
    trap '' PIPE
    take_lock
    BEGAN=$(cluster_time)
    started=$SECONDS
    local unfinished

    before=$(last_release good)
    [ -n "$before" ] || die "no release is recorded in this cluster: there is nothing to go back to."
    unfinished=$(unfinished_release)
    if [ -z "$wanted" ]; then
        if [ -n "$unfinished" ]; then wanted=$before; else wanted=$(release_before "$before"); fi
    fi
    [ -n "$wanted" ] || die "release $before is the only good one that is recorded: there is none before it."
    [ "$wanted" != "$before" ] || [ -n "$unfinished" ] || die "release $wanted is what is live."
    manifest_of_release "$wanted" "$WORK/new.yaml" 2>/dev/null ||
        die "release $wanted isn't recorded; scripts/deploy/status.sh $environment lists those that are."
    manifest_of_release "$before" "$WORK/before.yaml"
    documents "$WORK/new.yaml" not Job >"$WORK/part.yaml"
    apply "$WORK/part.yaml" --dry-run=server || die "$WHY
Nothing was changed."
    [ -z "$INTERRUPTED" ] || die "it was interrupted, and nothing was changed."

    number=$(($(last_release "$ALL_STATES") + 1))
    record_release "$number" "$WORK/new.yaml" "$environment" "back to release $wanted" "$(is_of_release "$wanted")"
    PHASE=placing
    step "Back to release $wanted in $environment"
    report "Release $number to $environment at $BEGAN, by $HOLDER: back from release ${unfinished:-$before} to release $wanted"
    if apply_part "$WORK/new.yaml" not Job && { unstick_statefulsets "$WORK/new.yaml" || true; } &&
        wait_for_rollouts "$WORK/new.yaml" "Deployment|StatefulSet" && prune "$WORK/new.yaml" "$WORK/before.yaml" && mark_good; then
        PHASE=decided
        # The one that was left is no release to go back to by itself.
        if [ "$wanted" != "$before" ]; then
            mark_release "$before" undone || report "  (that release $before was left couldn't be recorded)"
        fi
        forget_old_releases || report "  older releases couldn't all be forgotten"
        report "Release $wanted is in place again after $((SECONDS - started)) s:"
        report "$(tell_what_runs)"
        save_report
        return 0
    fi
    take_back
}

# The release that was to be left stays.
take_back() {
    PHASE=decided
    if [ -n "$INTERRUPTED" ]; then WHY="it was interrupted${WHY:+ ($WHY)}"; fi
    report "Going back to release $wanted FAILED after $((SECONDS - started)) s: $WHY"
    # There is no other that is known to be good.
    if [ "$wanted" = "$before" ]; then
        mark_release "$number" failed || true
        save_report
        return 3
    fi
    mark_release "$number" undoing || true
    report "Staying with release $before …"
    if undo "$WORK/before.yaml"; then
        mark_release "$number" undone || report "  (that couldn't be recorded: scripts/deploy/recover.sh $environment does it)"
        report "$(tell_what_runs)"
        save_report
        return 1
    fi
    mark_release "$number" failed || true
    report "THAT FAILED too: $WHY"
    save_report
    return 3
}

main
