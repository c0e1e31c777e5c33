# shellcheck shell=bash
# shellcheck disable=SC2154  # what it works with is of node-lib.sh
# Load for scripts/k8s/node.sh: somebody who asks and somebody who speaks, all the while.

start_load() {
    : >"$work/loading"
    : >"$work/answers"
    : >"$work/commands"
    ask_all_the_while &
    speak_all_the_while &
}
ask_all_the_while() {
    while [ -e "$work/loading" ]; do
        curl --silent --output /dev/null --write-out '%{http_code} %{errormsg}\n' --max-time 20 --config "$work/token.curl" \
            --header 'Content-Type: application/json' --data '{"query_text": "what a citizen can do", "limit": 1}' "$api/api/v1/query" >>"$work/answers" || true
        sleep 0.1
    done
}
speak_all_the_while() {
    local code
    while [ -e "$work/loading" ]; do
        code=0
        CLIENT=load client transcribe --json "$ROOT/assets/speech/austen-0880.wav" >"$work/command" 2>"$work/command.log" || code=$?
        printf '%s %s\n' "$code" "$(jq -r '.text // empty' "$work/command" 2>/dev/null | sed -n 1p | cut -c1-60)$([ "$code" = 0 ] || tail -n 2 "$work/command.log" | tr '\n' ' ')" >>"$work/commands"
        sleep 0.5
    done
}
stop_load() { # NAME
    local answers commands
    rm -f "$work/loading"
    wait_for_jobs
    answers=$(wc -l <"$work/answers" | tr -d ' ')
    commands=$(wc -l <"$work/commands" | tr -d ' ')
    equal "$1: of $answers requests those that weren't answered with 200" "" "$(grep -v '^200 ' "$work/answers" | sort | uniq -c | sed -n 1,5p)"
    equal "$1: of $commands commands those without a text" "" "$(grep -v '^0 [^ ]' "$work/commands" | sort | uniq -c | sed -n 1,5p)"
    check "$1: there was load" [ "$answers" -ge 20 -a "$commands" -ge 2 ]
}
wait_for_jobs() {
    local it end=$((SECONDS + 130))
    for it in $(jobs -p); do
        case " ${started[*]-} " in *" $it "*) continue ;; esac
        while kill -0 "$it" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 0.3; done
    done
}
