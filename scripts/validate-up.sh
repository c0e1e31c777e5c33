#!/usr/bin/env bash
# speakr-validate against the real "make up", as the documents tell a user: "make up" in one shell, "make validate" in
# another, then Ctrl-C in the first, after which nothing of it goes on. In a folder of its own, with data of its own, so that a
# platform that somebody has running here stays as it is. Takes some minutes, of which the
# expected load (docs/load.toml, "local") wants the machine for itself.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"

# How long it may take in seconds, once everything is built, and until it has ended after Ctrl-C: its own bounds for one
# part that isn't well, and something more.
READY=300
ENDED=120

# No platform but this one, whatever this shell had in mind.
for name in $(own_variables); do unset "$name"; done
# A short name: a socket of PostgreSQL's lies below, whose path has a bound.
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-up.XXXXXX")
# PostgreSQL runs as somebody else where root starts it, who has to get there.
chmod 711 "$work"
export SPEAKR_UP_FOLDER=$work SPEAKR_UP_DATA=$work/data
known=$work/.speakr/up.env
up=""

# Whether anything of the process group of "make up" is there.
goes_on() { [ -n "$up" ] && kill -0 -- "-$up" 2>/dev/null; }
# wait_for_end SECONDS
wait_for_end() {
    local end=$((SECONDS + $1))
    while goes_on && [ "$SECONDS" -lt "$end" ]; do sleep 0.5; done
    ! goes_on
}
# What it has started ends with it, also where it is killed (on Linux).
leave() {
    if goes_on; then
        say "Ending what \"make up\" has started …"
        # Not Ctrl-C: where this script was started without job control, what it starts may not hear that.
        kill -TERM -- "-$up" 2>/dev/null || true
        wait_for_end "$ENDED" || kill -KILL -- "-$up" 2>/dev/null || true
    fi
    rm -rf "$work" || true
}
trap leave EXIT
trap 'exit 130' INT TERM

# The processes below process $1, one a line: its id and its name.
below() {
    ps -A -o pid= -o ppid= -o comm= | awk -v top="$1" '
        { parent[$1] = $2; name[$1] = $3 }
        END {
            for (id in name) {
                at = parent[id]
                while (at > 0 && at != top) at = parent[at]
                if (at == top) print id, name[id]
            }
        }'
}
# Which of the processes $1 (ids, with spaces between) are there. One that has ended and that nobody has asked about yet isn't.
still_there() {
    ps -A -o pid= -o stat= -o comm= | awk -v ids=" $1 " '$2 !~ /^Z/ && index(ids, " " $1 " ") { print $1, $3 }'
}

# validate NAME OPTIONS: with reports in $work/NAME.txt and .json. OPTIONS is read by a shell.
validate() {
    make --no-print-directory validate VALIDATE="--report table,json --output '$work/$1' $2" 2>&1 </dev/null | tee "$work/$1.log"
}
# of NAME WHAT: what its report says, with spaces between.
of() {
    python3 - "$work/$1.json" "$2" <<'END'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    report = json.load(file)
checks = [(f'{check["group"]}.{check["name"]}', check) for check in report["checks"]]
what = sys.argv[2]
if what in ("url", "level"):
    found = [report[what]]
elif what == "unexplained":
    found = [name for name, check in checks if check["outcome"] == "not_checked" and not check["detail"].strip()]
elif what == "load":
    found = [f'{name}: {check["detail"]}\n' for name, check in checks if check["group"] == "load"]
else:
    found = [name for name, check in checks if check["outcome"] == what]
print("".join(found) if what == "load" else " ".join(sorted(found)), end="")
END
}
# judged NAME LEVEL NOT_CHECKED: its report is of this platform and level, nothing failed in it, and what it couldn't look at is
# that and nothing else, each with its reason: what silently isn't looked at any more would be found here.
judged() {
    local name=$1 wanted found
    wanted=$(for check in $3; do echo "$check"; done | LC_ALL=C sort | tr '\n' ' ')
    if [ ! -s "$work/$name.json" ]; then
        fail "$name: there is a report"
        return
    fi
    equal "$name: the report is of this platform" "$api" "$(of "$name" url)"
    equal "$name: … and of this level" "$2" "$(of "$name" level)"
    equal "$name: nothing failed" "" "$(of "$name" failed)"
    equal "$name: what wasn't checked is said with its reason" "" "$(of "$name" unexplained)"
    found=$(of "$name" not_checked) || found="what can't be read"
    if [ "$found" = "${wanted% }" ]; then
        pass "$name: … and is what can't be here, and that alone"
    else
        fail "$name: what wasn't checked is another than what can't be here" "wanted: ${wanted% }
found: $found"
    fi
    say "    $(of "$name" passed | wc -w | tr -d ' ') checks of the platform passed. Not checked:"
    grep -E '^ *not checked ' "$work/$name.log" | cut -c1-160 | sed 's/^ */    /' >&2 || true
}

step "make up, with $known"
# A process group of its own, as a shell gives to what somebody starts in it: Ctrl-C is for a whole group, and a script
# without job control would have what runs behind it ignore that.
set -m
make --no-print-directory up >"$work/up.log" 2>&1 </dev/null &
up=$!
set +m
began=""
until [ -r "$known" ] && grep -q '^Ready\.' "$work/up.log"; do
    if ! goes_on; then
        tail -n 30 "$work/up.log" >&2
        die "\"make up\" ended before it was ready."
    fi
    # Building and fetching tools may take any time, and end by themselves.
    if [ -z "$began" ] && grep -q '^Starting the bus' "$work/up.log"; then began=$SECONDS; fi
    if [ -n "$began" ] && [ $((SECONDS - began)) -gt "$READY" ]; then
        tail -n 30 "$work/up.log" >&2
        die "\"make up\" isn't ready after $READY seconds."
    fi
    sleep 0.5
done
pass "it says that it is ready"
api=$(sed -n "s/^export SPEAKR_API_URL='\(.*\)'\$/\1/p" "$known")
processes=$(below "$up")
ids=$(cut -d' ' -f1 <<<"$processes" | tr '\n' ' ')
say "    $api; $(wc -l <<<"$processes" | tr -d ' ') processes: $(cut -d' ' -f2 <<<"$processes" | LC_ALL=C sort -u | tr '\n' ' ')"
# Linux cuts names off after 15 letters. The S3 server isn't among them: it may be either of two.
missing=""
for part in speakr-up nats-server postgres speakr-transcri speakr-embedder speakr-query-sv; do
    grep -c " .*$part" <<<"$processes" >/dev/null || missing="$missing $part"
done
equal "it has started all of its parts" "" "$missing"

step "What README.md asks of it, in another shell"
# The block's own commands, after those that start it and read its file.
awk '/^make up / { inside = 1; next } /^```/ { inside = 0 } inside && !/^\. \.speakr\/up\.env/' README.md >"$work/readme.sh"
equal "commands of README.md" 2 "$(grep -c '^curl ' "$work/readme.sh" || true)"
# Those from the first or the second on (to the end of the block), as somebody types them: what they say has to have a word of the speech.
says_country() { (set -euo pipefail && . "$known" && . "$1") 2>&1 | grep -i country; }
awk '/^curl / { number += 1 } { print > (folder "/readme-" number ".sh") }' folder="$work" "$work/readme.sh"
check "the first gives the text" says_country "$work/readme-1.sh"
within 30 "the second finds it" says_country "$work/readme-2.sh"

# What one machine alone can't show: there is no network that could be listened to. The rest wants what this user doesn't name:
# logs, traces, Prometheus, a release, backups, dumps of settings, and how services are stopped.
smoke="alerts.rules alerts.targets alerts.quiet alerts.transcriber-reaches alerts.embedder-reaches alerts.query_svc-reaches
    architecture.use-cases
    cli.checksums cli.version cli.drive
    health.transcriber-stopped health.embedder-stopped health.query_svc-stopped
    infra.addresses infra.api-plaintext infra.database-plaintext infra.store-encryption
    load.search load.speech load.files load.errors load.memory
    observability.log-of-http observability.log-of-bus observability.form observability.trace
    recovery.same-answers recovery.database recovery.bucket recovery.streams
    secrets.config"
more=""
if grep -q "versitygw isn't installed" "$work/up.log"; then
    # What serves in its place gives everything to anybody.
    more="--leave-out 'infra.store-strangers=moto serves in the place of an S3 server'"
    smoke="$smoke infra.store-strangers"
fi
step "make validate, at the level that harms nothing"
check "smoke: it ends well" validate smoke "--level smoke $more"
judged smoke smoke "$smoke"

# Where the level makes a difference to this platform: the load is made. How services are stopped (this platform starts what has died
# again at once) and where backups go isn't known here; validate_full has all of that. The core's own tests, which the level
# would compile too, are those of 'make test'.
full="alerts.rules alerts.targets alerts.quiet alerts.transcriber-reaches alerts.embedder-reaches alerts.query_svc-reaches
    health.transcriber-stopped health.embedder-stopped health.query_svc-stopped
    recovery.same-answers recovery.database recovery.bucket recovery.streams"
# Only Linux tells services their memory.
if [ "$(uname -s)" != Linux ]; then full="$full load.memory"; fi
step "make validate, at level full, with the load that is expected of one machine"
check "full: it ends well" validate full "--level full --allow-disruption --group health,load,recovery,alerts"
judged full full "$full"
if [ -s "$work/full.json" ]; then of full load | sed 's/^/    /' >&2; fi
if grep -q 'had died' "$work/up.log"; then
    fail "no part has died meanwhile" "$(grep 'had died' "$work/up.log")"
else
    pass "no part has died meanwhile"
fi

step "Ctrl-C"
kill -INT -- "-$up"
interrupted=$SECONDS
if wait_for_end "$ENDED"; then
    code=0
    wait "$up" || code=$?
    # make ends as Ctrl-C ends a program; or as what it ran did, where this script was itself started with Ctrl-C ignored.
    case $code in
    130 | 0) pass "it ends, after $((SECONDS - interrupted)) s" ;;
    *) fail "it ends in order" "it ended with $code; $(tail -n 10 "$work/up.log")" ;;
    esac
    up=""
else
    fail "it ends within $ENDED s" "$(tail -n 10 "$work/up.log")"
fi
check "it has heard Ctrl-C" grep -q '^Ending' "$work/up.log"
equal "nothing of it failed" "" "$(grep -E '^error|\*\*\*|panicked' "$work/up.log" || true)"
equal "none of its processes goes on" "" "$(still_there "$ids")"
check "what other shells read is gone" test ! -e "$known"
refused "and to validate says that there is no platform" "no platform is known" validate none ""

tell_checks "make up, validated"
