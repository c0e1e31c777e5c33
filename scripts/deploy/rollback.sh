#!/usr/bin/env bash
# Back to an earlier release: the one before what is live, or the one that is named.
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
while [ $# -gt 0 ]; do
    case $1 in
    --report)
        report_file=${2:?--report wants a file}
        shift
        ;;
    [0-9]*) wanted=$1 ;;
    *) die "rollback.sh knows no \"$1\"; it takes ENVIRONMENT [RELEASE] [--report FILE]." ;;
    esac
    shift
done

main() {
    need_tools
    need_environment "$environment"
    make_work
    take_lock
    BEGAN=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    local started=$SECONDS live number
    INTERRUPTED=
    trap 'INTERRUPTED=1' INT TERM

    live=$(last_release good)
    [ -n "$live" ] || die "no release is recorded in this cluster: there is nothing to go back to."
    wanted=${wanted:-$(last_release good "$live")}
    [ -n "$wanted" ] || die "release $live is the only good one that is recorded: there is none before it."
    [ "$wanted" != "$live" ] || die "release $wanted is what is live."
    manifest_of_release "$wanted" "$WORK/new.yaml" 2>/dev/null ||
        die "release $wanted isn't recorded; scripts/deploy/status.sh $environment lists those that are."
    manifest_of_release "$live" "$WORK/before.yaml"
    documents "$WORK/new.yaml" not Job | apply --dry-run=server || die "$WHY
Nothing was changed."

    number=$(($(last_release "good,failed,undone,running") + 1))
    record_release "$number" "$WORK/new.yaml" "$environment" "back to release $wanted"
    step "Back to release $wanted in $environment"
    report "Release $number to $environment at $BEGAN, by $HOLDER: back from release $live to release $wanted"
    if documents "$WORK/new.yaml" not Job | apply && { unstick_statefulsets "$WORK/new.yaml" || true; } &&
        wait_for_rollouts "$WORK/new.yaml" "Deployment|StatefulSet" && prune "$WORK/new.yaml" "$WORK/before.yaml"; then
        mark_release "$number" good
        # The one that was left is no release to go back to by itself.
        mark_release "$live" undone
        forget_old_releases || report "  older releases couldn't all be forgotten"
        report "Release $wanted is in place again after $((SECONDS - started)) s:"
        report "$(tell_what_runs)"
        save_report
        return 0
    fi
    report "Going back to release $wanted FAILED after $((SECONDS - started)) s: $WHY"
    mark_release "$number" failed
    report "Staying with release $live …"
    if undo "$WORK/before.yaml"; then
        mark_release "$number" undone
        report "$(tell_what_runs)"
        save_report
        return 1
    fi
    report "THAT FAILED too: $WHY"
    save_report
    return 3
}

save_report() { if [ -n "$report_file" ]; then cp "$WORK/report" "$report_file"; fi; }

main
