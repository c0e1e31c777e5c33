#!/usr/bin/env bash
# Validates the release that is in place from inside the cluster (docs/validation.md): a Job of the CronJob
# speakr-validate, which is of that release, asks as a pod what only a pod sees: the bus, each service's health,
# streams and their copies, the database, the store, files with secrets. Its report is printed; the Job is taken away.
#
#   scripts/deploy/validate-in-cluster.sh ENVIRONMENT [--junit FILE] [-- OPTIONS OF speakr-validate]
#
# It harms nothing. OPTIONS are as --group infra or --strict; without --group it is what can be seen from inside. The
# image has no shell: what takes commands of a shell takes speakr-validate where there is one.
#
# The token (scopes read, write and transcribe) is the vault's, where there is a vault. Elsewhere it is that of the
# file that SPEAKR_API_TOKEN_FILE names, which lies in the Secret speakr-validate-token meanwhile; whoever may enter
# pods and names none has one made for this, and revoked afterwards. Without any, what asks the API isn't checked.
#
# Ends with what speakr-validate ended with (0 nothing failed, 1 a check failed, 2 called in the wrong way, 3 nobody
# answers), or with 125 where the Job didn't start or didn't end: SPEAKR_POD_PATIENCE (120) and
# SPEAKR_VALIDATE_TIMEOUT (1800) seconds. scripts/deploy/deploy.sh can take it for its smoke test (SPEAKR_SMOKE).

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CRONJOB=speakr-validate
TOKEN_SECRET=speakr-validate-token
# What is looked at from inside. The rest wants logs, a checkout, a release, Prometheus or backups.
GROUPS_INSIDE=system,contract,health,secrets,infra

environment=${1:-}
[ $# -gt 0 ] && shift
junit=""
while [ $# -gt 0 ]; do
    case $1 in
    --junit)
        junit=${2:?--junit wants a file}
        shift 2
        ;;
    --)
        shift
        break
        ;;
    *) die "validate-in-cluster.sh knows no \"$1\"; it takes ENVIRONMENT [--junit FILE] [-- OPTIONS OF speakr-validate]." ;;
    esac
done
options=("$@")

# Ends the script, where nothing could be told of the platform.
not_told() {
    printf 'error: %s\n' "$*" >&2
    exit 125
}

job=""
secret_made=""
token_made=""
# shellcheck disable=SC2329  # a trap calls it
take_away() {
    # Whatever ended this: broken off, the suite deletes what it has made while its pod is ended.
    trap - INT TERM
    if [ -n "$job" ]; then
        k delete job "$job" --ignore-not-found --cascade=foreground --timeout=150s --request-timeout=0 >/dev/null 2>&1 ||
            say "The Job $job couldn't be taken away; it goes by itself within an hour of its end."
    fi
    if [ -n "$secret_made" ]; then
        k delete secret "$TOKEN_SECRET" --ignore-not-found >/dev/null 2>&1 ||
            say "The Secret $TOKEN_SECRET couldn't be deleted: kubectl --namespace $NAMESPACE delete secret $TOKEN_SECRET"
    fi
    if [ -n "$token_made" ]; then revoke_token; fi
    leave
}

# speakr-query-svc's own commands, in its pod: for administrators.
token_command() { k exec deploy/speakr-query-svc -- /proc/1/exe token "$@"; }
# shellcheck disable=SC2329  # the same
revoke_token() {
    local id
    id=$(token_command list 2>/dev/null | jq -r --arg name "$token_made" 'select(.name == $name) | .token_id') || id=""
    if [ -z "$id" ] || ! token_command revoke "$id" >/dev/null 2>&1; then
        say "The token $token_made couldn't be revoked; it runs out within a day."
    fi
}

# Writes a token to $WORK/token, where one can be had. Fails where the Job has one, or none is to be had.
find_token() {
    if jq -e '.spec.jobTemplate.spec.template.spec.containers[0].args | any(startswith("--token-file"))' "$WORK/cronjob.json" >/dev/null; then
        return 1
    fi
    if [ -n "${SPEAKR_API_TOKEN_FILE:-}" ]; then
        tr -d ' \n' <"$SPEAKR_API_TOKEN_FILE" >"$WORK/token"
    elif [ "$(k auth can-i create pods/exec 2>/dev/null)" = yes ]; then
        token_made=$job
        token_command create --name "$token_made" --scopes read,write,transcribe --expires-in-days 1 >"$WORK/token.out" 2>"$WORK/token.log" || {
            token_made=""
            not_told "a token for the validation can't be made: $(tail -n 3 "$WORK/token.log")"
        }
        tr -d ' \n' <"$WORK/token.out" >"$WORK/token"
    else
        say "No token (SPEAKR_API_TOKEN_FILE): what asks the API with one isn't checked."
        return 1
    fi
    [ -s "$WORK/token" ] || not_told "the token is empty${SPEAKR_API_TOKEN_FILE:+ ($SPEAKR_API_TOKEN_FILE)}."
}

# By server-side apply, which asks for rights to this one name alone.
put_token() {
    jq -n --arg name "$TOKEN_SECRET" --rawfile token "$WORK/token" '{apiVersion: "v1", kind: "Secret", metadata: {name: $name,
        labels: {"app.kubernetes.io/name": "speakr-validate"}}, type: "Opaque", data: {"api-token": ($token | @base64)}}' |
        k apply --server-side --force-conflicts --validate=strict --field-manager=speakr-validate --filename - >/dev/null 2>"$WORK/apply.log" ||
        not_told "the token can't be put into the Secret $TOKEN_SECRET: $(tail -n 3 "$WORK/apply.log")
Who deploys may write it since k8s/cluster/base/deployers.yaml says so: scripts/deploy/prepare-cluster.sh, as an administrator."
    secret_made=1
}

# What the cluster says last of the pod $1.
last_of() {
    k get events --field-selector "involvedObject.name=$1" -o json 2>/dev/null |
        jq -r '[.items[] | select(.type == "Warning")] | sort_by(.lastTimestamp // .eventTime) | last | if . then " \(.reason): \(.message | .[0:400])" else "" end'
}

# Waits until the Job's one container has ended; CODE is what it ended with.
wait_for_end() {
    local began=$SECONDS pod="" state=waiting
    while :; do
        k get pods --selector "batch.kubernetes.io/job-name=$job" -o json >"$WORK/pods.json" || echo '{"items": []}' >"$WORK/pods.json"
        IFS='|' read -r pod state CODE < <(jq -r '.items[0] | (.status.containerStatuses // [{}])[0].state as $it
            | "\(.metadata.name // "")|\(if $it.terminated then "ended" elif $it.running then "running"
                elif .status.phase == "Failed" then "failed" else "waiting" end)|\($it.terminated.exitCode // "")"' "$WORK/pods.json")
        case $state in
        ended) break ;;
        failed) not_told "the pod $pod failed before its program ended:$(last_of "$pod")" ;;
        waiting)
            if [ "$((SECONDS - began))" -ge "${SPEAKR_POD_PATIENCE:-120}" ]; then
                not_told "the validation didn't start within ${SPEAKR_POD_PATIENCE:-120} s:$(last_of "${pod:-$job}")"
            fi
            ;;
        running)
            if [ "$((SECONDS - began))" -ge "${SPEAKR_VALIDATE_TIMEOUT:-1800}" ]; then
                k logs "$pod" --tail=20 >&2 || true
                not_told "the validation didn't end within ${SPEAKR_VALIDATE_TIMEOUT:-1800} s; the end of what it said is above."
            fi
            ;;
        esac
        sleep 2
    done
    for _ in 1 2 3; do
        if k logs "$pod" >"$WORK/log"; then return; fi
        sleep 3
    done
    not_told "the report can't be read: kubectl --namespace $NAMESPACE logs $pod"
}

need_tools
need_environment "$environment"
make_work
umask 077
trap take_away EXIT
trap 'exit 130' INT TERM
k get cronjob "$CRONJOB" -o json >"$WORK/cronjob.json" 2>"$WORK/log" ||
    not_told "the release that is in place in $environment brings no validation (CronJob $CRONJOB): $(tail -n 1 "$WORK/log")"
job=$CRONJOB-$(date -u +%Y%m%d-%H%M%S)-$(od -An -N2 -tx1 /dev/urandom | tr -d ' \n')
more=(--environment "$environment")
if find_token; then
    put_token
    more+=(--token-file /etc/speakr/secrets/api-token)
fi
case " ${options[*]-} " in *" --group"*) ;; *) more+=(--group "$GROUPS_INSIDE") ;; esac
if [ -n "$junit" ]; then more+=(--report junit); fi
more+=(${options[@]+"${options[@]}"})
step "Validating $environment from inside ($job)"
printf '%s\n' "${more[@]}" | jq -R . | jq -s . >"$WORK/more.json"
k create job "$job" --from="cronjob/$CRONJOB" --dry-run=client -o json |
    jq --slurpfile more "$WORK/more.json" '.spec.template.spec.containers[0].args += $more[0]' |
    k create --filename - >/dev/null 2>"$WORK/create.log" || {
    job=""
    not_told "the Job can't be made: $(tail -n 3 "$WORK/create.log")"
}
CODE=""
wait_for_end
# The report for programs comes after the one for people. Both of a container's streams are in its log, and a line of
# the other may come between.
awk -v xml="${junit:-/dev/null}" '
    /^<\?xml / { inside = 1 }
    inside && !/^  (passed|FAILED|not checked) / { print >xml; if (/^<\/testsuites>/) inside = 0; next }
    { print }' "$WORK/log"
case $CODE in
0) say "Nothing failed in $environment, seen from inside." ;;
1) say "error: speakr-validate found faults in $environment from inside (it ended with 1):
$(grep -E '^  FAILED ' "$WORK/log" | cut -c1-300 | sed -n 1,4p)" ;;
*) say "error: speakr-validate ended with $CODE in $environment: $(tail -n 1 "$WORK/log")" ;;
esac
exit "$CODE"
