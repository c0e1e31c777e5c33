#!/usr/bin/env bash
# Puts a release in place, and takes it back when it isn't well.
#
#   scripts/deploy/deploy.sh ENVIRONMENT [--images FILE] [--report FILE] [--what TEXT]
#
# FILE has a line an image, name=registry/name@sha256:…; without it the images stay as they are. What is
# live is recorded, the manifests are applied, the migration runs, the rollouts are watched, and a smoke
# test asks the result (SPEAKR_SMOKE names another). When any of it fails, the manifests recorded before
# are put back and waited for. An interruption (Ctrl-C, SIGTERM, a terminal that is closed) takes the release back too; a second
# one changes nothing of that.
#
# Ends with 0: the release is in place; 1: it failed, and what ran before runs again; 2: nothing was
# changed; 3: it failed, and so did going back.

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
images=""
report_file=""
what="a release"
before="" number="" started=0
while [ $# -gt 0 ]; do
    case $1 in
    --images) images=${2:-} ;;
    --report) report_file=${2:-} ;;
    --what) what=${2:-} ;;
    *) die "deploy.sh knows no \"$1\"; it takes ENVIRONMENT [--images FILE] [--report FILE] [--what TEXT]." ;;
    esac
    shift 2 || die "$1 wants a value."
done

main() {
    need_tools
    need_environment "$environment"
    [ -z "$images" ] || [ -r "$images" ] || die "there is no file $images with the images."
    PHASE=before
    make_work
    INTERRUPTED=
    trap 'INTERRUPTED=1' INT TERM HUP
    trap '' PIPE
    take_lock
    BEGAN=$(cluster_time)
    started=$SECONDS

    before=$(last_release good)
    if [ -n "$before" ]; then manifest_of_release "$before" "$WORK/before.yaml"; else snapshot_live >"$WORK/before.yaml"; fi
    if [ -z "$images" ]; then
        images=$WORK/images.env
        [ -n "$before" ] || die "no release is recorded in this cluster: name the images with --images."
        images_of "$WORK/before.yaml" | sed 's#^\(.*/\)\{0,1\}\([^/@]*\)@.*#\2=&#' >"$images"
    fi
    render "$environment" "$images" "$WORK/new.yaml"
    try_out "$WORK/new.yaml" || die "$WHY
Nothing was changed."
    [ -z "$INTERRUPTED" ] || die "it was interrupted, and nothing was changed."

    number=$(($(last_release "$ALL_STATES") + 1))
    record_release "$number" "$WORK/new.yaml" "$environment" "$what"
    PHASE=placing
    step "Release $number to $environment ($what)"
    report "Release $number to $environment at $BEGAN, by $HOLDER: $what"
    tell_change

    if put_in_place "$WORK/new.yaml" && smoke && prune "$WORK/new.yaml" "$WORK/before.yaml" && mark_good; then
        PHASE=decided
        forget_old_releases || report "  older releases couldn't all be forgotten"
        report "Release $number is in place after $((SECONDS - started)) s:"
        report "$(tell_what_runs)"
        save_report
        return 0
    fi
    take_back
}

# What the release that failed for WHY has changed is put back.
take_back() {
    PHASE=decided
    if [ -n "$INTERRUPTED" ]; then WHY="it was interrupted${WHY:+ ($WHY)}"; fi
    report "Release $number FAILED after $((SECONDS - started)) s: $WHY"
    if [ ! -s "$WORK/before.yaml" ]; then
        mark_release "$number" failed || true
        report "Nothing ran here before, so there is nothing to go back to: what came of it is left to be looked at (scripts/deploy/status.sh $environment)."
        save_report
        return 3
    fi
    # Where this can't be recorded, it is known as begun and not ended, which is as good for recover.sh.
    mark_release "$number" undoing || true
    started=$SECONDS
    report "Going back to ${before:+release }${before:-what ran before} …"
    if undo "$WORK/before.yaml"; then
        mark_release "$number" undone || report "  (that couldn't be recorded: scripts/deploy/recover.sh $environment does it)"
        report "Back after $((SECONDS - started)) s:"
        report "$(tell_what_runs)"
        save_report
        return 1
    fi
    mark_release "$number" failed || true
    report "GOING BACK FAILED too, after $((SECONDS - started)) s: $WHY"
    report "$(tell_what_runs)"
    report "See docs/runbook.md, \"A release that can't be taken back\"."
    save_report
    return 3
}

smoke() {
    local program=${SPEAKR_SMOKE:-$ROOT/scripts/deploy/smoke.sh}
    if [ -n "$INTERRUPTED" ]; then
        WHY="it was interrupted"
        return 1
    fi
    report "  smoke test"
    # Beside this shell, which hears at once that it is to end, and tells it.
    local code=0 asking said
    rm -f "$WORK/smoke"
    mkfifo "$WORK/smoke"
    tee "$WORK/smoke.log" <"$WORK/smoke" >&2 &
    said=$!
    "$program" "$environment" >"$WORK/smoke" 2>&1 &
    asking=$!
    while :; do
        code=0
        wait "$asking" || code=$?
        kill -0 "$asking" 2>/dev/null || break
        if [ -n "$INTERRUPTED" ]; then kill -TERM "$asking" 2>/dev/null || true; fi
    done
    if [ -n "$INTERRUPTED" ]; then
        kill "$said" 2>/dev/null || true
        WHY="it was interrupted, in its smoke test"
        return 1
    fi
    wait "$said" || true
    [ "$code" != 0 ] || return 0
    WHY="the smoke test failed: $(tail -n 5 "$WORK/smoke.log")"
    return 1
}

# Which images are new, by their digests.
tell_change() {
    images_of "$WORK/before.yaml" >"$WORK/images.before"
    images_of "$WORK/new.yaml" >"$WORK/images.new"
    comm -13 "$WORK/images.before" "$WORK/images.new" | while read -r image; do report "  new image: $image"; done
}

main
