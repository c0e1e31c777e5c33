# shellcheck shell=bash
# shellcheck disable=SC2154  # some of it is of node-lib.sh
# The hourly copy of the bus's streams (k8s/components/aws/streams-backup.yaml), as a pod of a cluster that isn't in AWS: its own
# programs, arguments, limits and network policies; the S3 server of the cluster takes the place of AWS's, with a user who may write
# into one bucket and nothing else, as the role in AWS. Read by node.sh.

# s3_as_root METHOD PATH [BODY]
s3_as_root() {
    local body=${3:-} sum
    # Newer curls sign it by themselves.
    sum=$(printf '%s' "$body" | sha256sum | cut -d' ' -f1)
    curl --silent --show-error --fail-with-body --max-time 20 --aws-sigv4 aws:amz:us-east-1:s3 --config "$work/s3.curl" --request "$1" \
        --header "x-amz-content-sha256: $sum" ${body:+--data "$body"} "$s3$2"
}

streams_copied_as_a_pod() {
    local s3 rclone key
    rclone=$(sed -n 's/^speakr-rclone=//p' "$work/images-1.env")
    # Not by the address of its Service, which the network policies keep everybody else from.
    in_background forward kubectl --namespace speakr port-forward service/speakr-s3 :7070
    within 20 "the S3 server, as its administrator reaches it" grep -q '^Forwarding from 127.0.0.1:' "$work/forward.log"
    s3=http://$(sed -n 's/^Forwarding from \(127.0.0.1:[0-9]*\) .*/\1/p' "$work/forward.log")
    key=$(k get secret speakr-s3 -o jsonpath='{.data.secret-access-key}' | base64 -d)
    printf 'user = "speakr:%s"\n' "$key" >"$work/s3.curl"
    check "a bucket for copies" s3_as_root PUT /copies
    check "… and a user who may write there" s3_as_root PATCH /create-user \
        "<Account><Access>copier</Access><Secret>${key}2</Secret><Role>user</Role></Account>"
    check "… and may do nothing else" s3_as_root PUT "/copies?policy=" '{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["copier"]}, "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::copies/*"]}]}'
    k create secret generic speakr-copier --from-literal=key="${key}2" >/dev/null
    k apply --filename k8s/components/aws/backup-network.yaml >/dev/null
    edge_to_s3 | k apply --filename - >/dev/null
    k create --dry-run=client --output json --filename k8s/components/aws/streams-backup.yaml | copy_job "$rclone" | k apply --filename - >/dev/null
    within 120 "the copy is made" is_copied
    if ! is_copied; then
        k describe job,pods --selector job-name=copy >&2 || true
        k logs --selector job-name=copy --all-containers >&2 || true
    fi
    equal "streams that it has" "KV_SPEAKR_ATTEMPTS KV_SPEAKR_RECORDINGS SPEAKR_AUDIO SPEAKR_COMMANDS SPEAKR_DEAD_LETTER SPEAKR_EVENTS " \
        "$(env -u AWS_CA_BUNDLE AWS_ACCESS_KEY_ID=speakr AWS_SECRET_ACCESS_KEY="$key" rclone lsf --config= --s3-provider=Other --s3-env-auth \
            --s3-region=us-east-1 --s3-endpoint="$s3" --recursive --files-only :s3:copies/streams | cut -d/ -f2 | sort -u | tr '\n' ' ')"
    edge_to_s3 | k delete --filename - --filename k8s/components/aws/backup-network.yaml --wait=false >/dev/null
    k delete job/copy secret/speakr-copier serviceaccount/speakr-streams-backup --wait=false >/dev/null
}
is_copied() { k get job copy -o json | jq -e '.status.succeeded == 1' >/dev/null; }

# In AWS the copy goes to an address outside the cluster, which the policies of the services let through.
edge_to_s3() {
    jq -n '{apiVersion: "v1", kind: "List", items: [
        {apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: {name: "try-copy-to-s3"}, spec: {policyTypes: ["Egress"],
            podSelector: {matchLabels: {"app.kubernetes.io/name": "speakr-streams-backup"}},
            egress: [{to: [{podSelector: {matchLabels: {"app.kubernetes.io/name": "speakr-s3"}}}], ports: [{protocol: "TCP", port: 7070}]}]}},
        {apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: {name: "try-s3-from-copy"}, spec: {policyTypes: ["Ingress"],
            podSelector: {matchLabels: {"app.kubernetes.io/name": "speakr-s3"}},
            ingress: [{from: [{podSelector: {matchLabels: {"app.kubernetes.io/name": "speakr-streams-backup"}}}], ports: [{protocol: "TCP", port: 7070}]}]}}]}'
}

# copy_job RCLONE: of the manifest that is read, its service account and one run of its CronJob. What is of AWS alone is replaced: who
# signs, where the bucket is, where the secrets come from.
copy_job() {
    jq --slurp --arg rclone "$1" --arg transcriber "$(sed -n 's/^speakr-transcriber=//p' "$work/images-1.env")" '
        [.[] | if .kind == "List" then .items[] else . end] as $all
        | ($all[] | select(.kind == "CronJob") | .spec.jobTemplate.spec) as $spec
        | {apiVersion: "v1", kind: "List", items: [
            ($all[] | select(.kind == "ServiceAccount")),
            {apiVersion: "batch/v1", kind: "Job", metadata: {name: "copy"}, spec: ($spec
                | .backoffLimit = 0
                | .template.spec.initContainers[0].image = $transcriber
                | .template.spec.containers[0] |= (.image = $rclone
                    | .args |= map(if . == "--s3-provider=AWS" then "--s3-provider=Other", "--s3-endpoint=http://speakr-s3:7070" else . end)
                    | .env |= (map(if .name == "AWS_REGION" then .value = "us-east-1" elif .name == "BUCKET" then .value = "copies" else . end)
                        + [{name: "AWS_ACCESS_KEY_ID", value: "copier"},
                           {name: "AWS_SECRET_ACCESS_KEY", valueFrom: {secretKeyRef: {name: "speakr-copier", key: "key"}}}]))
                | .template.spec.volumes |= map(if .name == "secrets" then {name: "secrets", projected: {defaultMode: 288, sources: [
                    {secret: {name: "speakr-clients", items: [{key: "operator-password", path: "nats-password"}, {key: "nats-ca.pem", path: "nats-ca.pem"}]}}]}}
                    else . end))}]}'
}
