#!/usr/bin/env bash
# Whether a platform that was just deployed answers: that it is there, that it knows who asks, and, with a
# token, that speech becomes text and is found.
#
#   scripts/deploy/smoke.sh ENVIRONMENT
#
# SPEAKR_API_URL says where the API is; where it isn't set, the fact API_URL of the cluster does.
# SPEAKR_API_TOKEN_FILE names a file with a token of scopes read, write and transcribe; without it the
# last part isn't run, and that is said. CURL_CA_BUNDLE is curl's own, for a certificate of one's own.
#
# The validation suite takes this script's place: SPEAKR_SMOKE=… for scripts/deploy/deploy.sh, which calls
# it with the environment's name and takes its exit code.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

environment=${1:-}
url=${SPEAKR_API_URL:-$(kubectl --namespace speakr get configmap speakr-environment -o jsonpath='{.data.API_URL}' 2>/dev/null || true)}
[ -n "$url" ] || die "where the API of $environment is isn't known: set SPEAKR_API_URL, or the fact API_URL of the cluster."
url=${url%/}
for tool in curl jq; do
    has "$tool" || die "$tool isn't here, and asks the API."
done
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-smoke.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Asks, and gives the status. A connection that fails is tried again: names and load balancers of a
# first deployment take minutes (SPEAKR_SMOKE_PATIENCE).
ask() {
    curl --silent --show-error --output "$work/body" --write-out '%{http_code}' \
        --retry "$((${SPEAKR_SMOKE_PATIENCE:-60} / 3))" --retry-delay 3 --retry-max-time "${SPEAKR_SMOKE_PATIENCE:-60}" \
        --retry-connrefused --connect-timeout 5 --max-time "${MAX_TIME:-30}" "$@" || true
}
expect() {
    local wanted=$1 what=$2 status
    shift 2
    status=$(ask "$@")
    [ "$status" = "$wanted" ] || die "$what: the API answered $status and not $wanted. $(head -c 500 "$work/body" 2>/dev/null || true)"
    say "  $what: $status"
}

expect 200 "the API lives" "$url/health"
expect 200 "its description is served" "$url/openapi.json"
jq -e '.paths["/api/v1/query"]' "$work/body" >/dev/null || die "what $url/openapi.json describes isn't the API of speakr."
expect 401 "who brings no token is sent away" --header 'Content-Type: application/json' --data '{"query_text": "anything"}' "$url/api/v1/query"

if [ -z "${SPEAKR_API_TOKEN_FILE:-}" ]; then
    say "  Not run, for want of a token (SPEAKR_API_TOKEN_FILE): speech becomes text and is found."
    exit 0
fi
# From a file, so that it stands in no list of processes.
printf 'header = "Authorization: Bearer %s"\n' "$(cat "$SPEAKR_API_TOKEN_FILE")" >"$work/token"
tag=smoke-$(date +%s)-$$
MAX_TIME=180 expect 200 "speech becomes text" --config "$work/token" --form "file=@$ROOT/assets/speech/jfk.wav" \
    --form model=whisper-1 --form store=true --form "tags=$tag" "$url/v1/audio/transcriptions"
text=$(jq -r .text "$work/body")
case $(printf '%s' "$text" | tr '[:upper:]' '[:lower:]') in
*country*) ;;
*) die "the text of the bundled speech isn't what was said: $text" ;;
esac
end=$((SECONDS + 60))
while :; do
    expect 200 "it is looked for" --config "$work/token" --header 'Content-Type: application/json' \
        --data "$(jq -n --arg tag "$tag" '{query_text: "serving your nation", filter_tags: [$tag]}')" "$url/api/v1/query"
    id=$(jq -r '.results[0].recording_id // empty' "$work/body")
    [ -z "$id" ] || break
    [ "$SECONDS" -lt "$end" ] || die "what was said isn't found after a minute."
    sleep 1
done
say "  and found"
expect 204 "it is deleted" --config "$work/token" --request DELETE "$url/api/v1/recordings/$id"
