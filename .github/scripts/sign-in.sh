#!/usr/bin/env bash
# Signs a job in, by who it is (OIDC) and without a stored key.
#
#   .github/scripts/sign-in.sh registries    to push and pull images (SPEAKR_REGISTRIES)
#   .github/scripts/sign-in.sh cluster       to deploy: kubectl's current context is CLUSTER_NAME afterwards
#
# GitHub's own registry takes the job's GITHUB_TOKEN. For AWS, GitHub vouches for the job with a token of minutes
# (permission id-token: write), and AWS_ROLE gives an hour's keys for it, which later steps find in their
# environment; the role trusts one environment of one repository (terraform/modules/deploy_access). AWS_REGION says where.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

hide() { if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::add-mask::%s\n' "$1"; fi; }

take_role() {
    local work token keys
    need aws curl jq
    : "${AWS_REGION:?says where in AWS}"
    [ -n "${AWS_ROLE:-}" ] || die "AWS_ROLE isn't set: terraform output (publish_role_arn, deploy_role_arn) has it, and it goes into the variables of the GitHub environment."
    [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || die "this job has no identity: it wants the permission id-token: write."
    work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-sign-in.XXXXXX")
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$work'" EXIT
    umask 077
    # From a file, so that it stands in no list of processes.
    printf 'header = "Authorization: bearer %s"\n' "${ACTIONS_ID_TOKEN_REQUEST_TOKEN:?}" >"$work/curl"
    again curl --silent --show-error --fail --max-time 30 --config "$work/curl" --output "$work/answer" \
        "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" || die "GitHub gives no token of who this job is."
    token=$(jq -r '.value // empty' "$work/answer") && [ -n "$token" ] || die "GitHub's answer has no token."
    hide "$token"
    printf '%s' "$token" >"$work/token"
    keys=$(again aws sts assume-role-with-web-identity --region "$AWS_REGION" --role-arn "$AWS_ROLE" --output json \
        --role-session-name "speakr-${GITHUB_RUN_ID:-local}" --duration-seconds 3600 --web-identity-token "file://$work/token") ||
        die "AWS doesn't give $AWS_ROLE to this job. It trusts one environment of one repository; this is ${GITHUB_REPOSITORY:-none}, and the job has to name its environment."
    rm -rf "$work"
    for pair in AWS_ACCESS_KEY_ID=AccessKeyId AWS_SECRET_ACCESS_KEY=SecretAccessKey AWS_SESSION_TOKEN=SessionToken; do
        value=$(printf '%s' "$keys" | jq -r ".Credentials.${pair#*=} // empty") && [ -n "$value" ] || die "AWS's answer has no ${pair#*=}."
        hide "$value"
        export "${pair%%=*}=$value"
        if [ -n "${GITHUB_ENV:-}" ]; then printf '%s=%s\n' "${pair%%=*}" "$value" >>"$GITHUB_ENV"; fi
    done
    say "  AWS: $AWS_ROLE"
}

registries() {
    local registry host
    need crane
    need_registries
    for registry in "${REGISTRIES[@]}"; do
        host=${registry%%/*}
        case $host in
        *.dkr.ecr.*)
            [ -n "${AWS_ACCESS_KEY_ID:-}" ] || take_role
            aws ecr get-login-password --region "$(printf '%s' "$host" | cut -d. -f4)" |
                crane auth login "$host" --username AWS --password-stdin >&2 || die "the registry $host doesn't let this job in."
            ;;
        *)
            [ -n "${GITHUB_TOKEN:-}" ] || die "GITHUB_TOKEN isn't set, and $host asks for it (permission packages)."
            printf '%s' "$GITHUB_TOKEN" | crane auth login "$host" --username "${GITHUB_ACTOR:-speakr}" --password-stdin >&2 ||
                die "the registry $host doesn't let this job in."
            ;;
        esac
    done
}

cluster() {
    need kubectl
    : "${CLUSTER_NAME:?names the cluster}"
    take_role
    aws eks update-kubeconfig --region "$AWS_REGION" --name "$CLUSTER_NAME" >&2 || die "the cluster $CLUSTER_NAME isn't found in $AWS_REGION."
    # Not who it says that it is: whom the cluster takes it for.
    kubectl auth whoami --request-timeout=30s -o json | jq -r '"  the cluster takes this job for \(.status.userInfo.username), in \(.status.userInfo.groups | join(", "))"' >&2 ||
        die "the cluster $CLUSTER_NAME doesn't answer. Its end point is inside the network: this job has to run there (runner_label, docs/operations.md)."
}

case ${1:-} in
registries) registries ;;
cluster) cluster ;;
*) die "sign-in.sh takes registries or cluster." ;;
esac
