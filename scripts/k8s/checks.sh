# shellcheck shell=bash
# What the tests of k8s/ share: checks that are counted, and what couldn't be run. Read after common.sh.

# When it was, beside what it is.
step() { printf '\n==> %s (%d s)\n' "$*" "$SECONDS" >&2; }

PASSED=0
FAILED=()
NOT_RUN=()

pass() {
    PASSED=$((PASSED + 1))
    say "  ok: $1"
}
fail() {
    FAILED+=("$1")
    say "  FAILED: $1"
    if [ -n "${2:-}" ]; then printf '%s\n' "$2" | tail -n 30 | sed 's/^/    /' >&2; fi
}
# not_run NAME WHAT: a failure where NAME may not be left out (SPEAKR_MAY_LEAVE_OUT).
not_run() {
    NOT_RUN+=("$1: $2")
    say "  NOT RUN: $1: $2"
    may_leave_out "$1" || FAILED+=("$1 isn't run")
}

# check NAME COMMAND…: it has to succeed. What it says is shown when it doesn't.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then pass "$name"; else fail "$name" "$said"; fi
}

# refused NAME PATTERN COMMAND…: it has to fail, and to say why.
refused() {
    local name=$1 pattern=$2 said
    shift 2
    if said=$("$@" 2>&1); then
        fail "$name: it was not refused" "$said"
    elif grep -Eq -- "$pattern" <<<"$said"; then
        pass "$name"
    else
        fail "$name: it failed, but not with \"$pattern\"" "$said"
    fi
}

# equal NAME WANTED FOUND
equal() {
    if [ "$2" = "$3" ]; then pass "$1${3:+ ($3)}"; else fail "$1" "wanted: $2
found: $3"; fi
}

# within SECONDS NAME COMMAND…: it has to succeed before so many seconds are over; tried every half second.
within() {
    local end=$((SECONDS + $1)) name=$2 said=""
    shift 2
    while [ "$SECONDS" -lt "$end" ]; do
        if said=$("$@" 2>&1); then
            pass "$name"
            return
        fi
        sleep 0.5
    done
    fail "$name" "$said"
}

# The result of all checks since the beginning, for the exit code.
tell_checks() {
    local it
    say ""
    for it in ${NOT_RUN[@]+"${NOT_RUN[@]}"}; do say "Not run: $it"; done
    for it in ${FAILED[@]+"${FAILED[@]}"}; do say "FAILED: $it"; done
    say "$1: $PASSED checks passed, ${#FAILED[@]} failed, ${#NOT_RUN[@]} not run, in $SECONDS s."
    [ "${#FAILED[@]}" -eq 0 ]
}
