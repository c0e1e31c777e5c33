#!/usr/bin/env bash
# Cleans up after a deployment that was broken off (killed, its machine gone): what ran before is put back.
#
#   scripts/deploy/recover.sh ENVIRONMENT [--force] [--report FILE]
#
# Does nothing where no release is recorded as begun and not ended. The lease of the one that was broken off is taken away when
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
        report_file=${2:?--report wants a file}
        shift
        ;;
    *) die "recover.sh knows no \"$1\"; it takes ENVIRONMENT [--force] [--report FILE]." ;;
    esac
    shift
done

# Takes away the lease of a deployment that can't be running any more.
free_lease() {
    local holder process end
    holder=$(k get lease "$MANAGER" --ignore-not-found -o jsonpath='{.spec.holderIdentity}')
    [ -n "$holder" ] || return 0
    process=${holder##*, process }
    case $holder in
    *" on $(uname -n), process "*)
        # It may be going back itself.
        end=$((SECONDS + ROLLOUT_TIMEOUT))
        while kill -0 "$process" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 1; done
        if ! kill -0 "$process" 2>/dev/null; then force=1; fi
        holder=$(k get lease "$MANAGER" --ignore-not-found -o jsonpath='{.spec.holderIdentity}')
        [ -n "$holder" ] || return 0
        ;;
    esac
    [ -n "$force" ] || die "somebody else is deploying: $holder. If that was broken off: scripts/deploy/recover.sh $environment --force"
    say "The lease of $holder is taken away."
    k delete lease "$MANAGER" --ignore-not-found >/dev/null
}

main() {
    need_tools
    need_environment "$environment"
    make_work
    local broken before
    free_lease
    broken=$(last_release running)
    if [ -z "$broken" ]; then
        say "No deployment to $environment was broken off."
        return 0
    fi
    take_lock
    BEGAN=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    INTERRUPTED=
    step "Release $broken to $environment was broken off"
    report "Release $broken to $environment was begun and not ended; $HOLDER cleans up at $BEGAN"
    mark_release "$broken" failed
    before=$(last_release good)
    [ -n "$before" ] || die "no good release is recorded before it: what came of it is left to be looked at (scripts/deploy/status.sh $environment)."
    manifest_of_release "$before" "$WORK/before.yaml"
    if undo "$WORK/before.yaml"; then
        mark_release "$broken" undone
        report "Back to release $before:"
        report "$(tell_what_runs)"
        save_report
        return 0
    fi
    report "GOING BACK to release $before FAILED: $WHY"
    report "See docs/runbook.md, \"A release that can't be taken back\"."
    save_report
    return 3
}

save_report() { if [ -n "$report_file" ]; then cp "$WORK/report" "$report_file"; fi; }

main
