#!/usr/bin/env bash
# What can be told of k8s/ without a cluster: every overlay is made, fits Kubernetes' own schemas, names
# settings that the services know and metrics that they measure, and its configurations are read by the
# programs that they are for.
#
# SPEAKR_K8S_SCHEMAS names a folder with kubeconform's schemas, as kind-group-version.json (scripts/k8s/make_schemas.py
# makes them of what an API server says of itself).

# shellcheck disable=SC2013,SC2016  # loops over words; what is in single quotes is another program's
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-k8s-static.XXXXXX")
trap 'rm -rf "$work"' EXIT
has kubectl || die "kubectl isn't here, and makes the manifests of the overlays."

step "Overlays"
# Also what no overlay uses yet.
mkdir -p "$work/tree" && cp -R k8s deploy "$work/tree/"
mkdir -p "$work/tree/k8s/overlays/prod-keda"
cat >"$work/tree/k8s/overlays/prod-keda/kustomization.yaml" <<'Y'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: speakr
resources: [../prod]
components: [../../components/keda]
Y
made=()
for overlay in dev dev-in-cluster staging prod prod-keda; do
    check "overlay $overlay is made" sh -c "kubectl kustomize '$work/tree/k8s/overlays/$overlay' >'$work/$overlay.yaml'"
    made+=("$overlay")
done
for cluster in base aws; do
    check "cluster/$cluster is made" sh -c "kubectl kustomize '$work/tree/k8s/cluster/$cluster' >'$work/cluster-$cluster.yaml'"
    made+=("cluster-$cluster")
done
equal "every overlay is among them" "dev dev-in-cluster prod staging" "$(cd k8s/overlays && printf '%s ' * | sed 's/ $//')"

step "Schemas"
if has kubeconform && [ -n "${SPEAKR_K8S_SCHEMAS:-}" ]; then
    # Custom resources have schemas of their own: k8s/tests/crds.yaml, on a real API server.
    for name in "${made[@]}"; do
        check "$name fits the schemas" kubeconform -strict -summary -skip SecretProviderClass,ScaledObject \
            -schema-location "$SPEAKR_K8S_SCHEMAS/{{.ResourceKind}}{{.KindSuffix}}.json" "$work/$name.yaml"
    done
    printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replica: 1, selector: {}, template: {}}\n' >"$work/wrong.yaml"
    refused "a misspelt field is found" "additional|not allowed" kubeconform -strict \
        -schema-location "$SPEAKR_K8S_SCHEMAS/{{.ResourceKind}}{{.KindSuffix}}.json" "$work/wrong.yaml"
else
    not_run schemas "kubeconform, or SPEAKR_K8S_SCHEMAS, isn't here"
fi

step "Settings"
# Every name that is given to a service as a variable is one that docs/config tells, with or without _FILE.
known=$(grep -ohE '`[A-Z][A-Z0-9_]+`' docs/config/*.md | tr -d '`' | sort -u)
# Of other programs: the SDKs of AWS and of OpenTelemetry.
others=(AWS_REGION OTEL_RESOURCE_ATTRIBUTES POD_NAME BUCKET)
unknown=""
names=$(
    sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' k8s/base/settings/*.env
    sed -n 's/^ *- \([A-Z][A-Z0-9_]*\)=.*/\1/p' k8s/components/*/kustomization.yaml
    sed -n 's/^ *- name: \([A-Z][A-Z0-9_]*\)$/\1/p' k8s/base/transcriber.yaml k8s/base/embedder.yaml k8s/base/query-svc.yaml \
        k8s/base/migrate.yaml k8s/components/aws/mounts/database-tls.yaml k8s/components/aws/streams-backup.yaml
)
for name in $names; do
    printf '%s\n' "$known" "${name%_FILE}" "${others[@]}" | sort | uniq -d | grep -cx "${name%_FILE}" >/dev/null || unknown="$unknown $name"
done
equal "settings that no service knows: none" "" "$unknown"
equal "settings were looked at" yes "$([ "$(printf '%s\n' "$names" | wc -l)" -ge 25 ] && echo yes)"
missing=""
for user in $(sed -n 's/^NATS_USER=//p' k8s/base/settings/*.env); do
    grep -q "user: \"$user\"" deploy/nats/users.conf || missing="$missing $user"
done
equal "users that the bus doesn't know: none" "" "$missing"
awk '/^  users.conf: \|/ { inside = 1; next } /^  [a-z]/ || /^[a-z]/ { inside = 0 } inside' "$work/prod.yaml" |
    sed 's/^    //' >"$work/users.conf"
check "the bus of the cluster has the shipped users" cmp deploy/nats/users.conf "$work/users.conf"

# The validation suite has settings of its own, and leaves out only checks that there are.
validation=(k8s/base/validate.yaml k8s/components/aws/mounts/validate.yaml k8s/components/in-cluster-data/validate.yaml)
unknown=""
for name in $(sed -nE 's/^ *(- )?name: ([A-Z][A-Z0-9_]*)$/\2/p' "${validation[@]}" | sort -u); do
    grep -qF "\`${name%_FILE}\`" docs/validation.md || unknown="$unknown $name"
done
equal "settings that the validation suite doesn't know: none" "" "$unknown"
unknown=""
for name in $(sed -nE 's/.*--leave-out=([a-z]+\.[a-z_-]+)=.*/\1/p' "${validation[@]}"); do
    grep -rqF "\"${name#*.}\"" "crates/e2e/src/validate/${name%%.*}" "crates/e2e/src/validate/${name%%.*}.rs" 2>/dev/null || unknown="$unknown $name"
done
equal "checks that are left out and aren't there: none" "" "$unknown"

# Secrets are files. kustomize writes every object alike, so its lines can be read as they are.
variables=""
for name in "${made[@]}"; do
    variables="$variables$(awk -v overlay="$name" '
        /^---$/ { object = "" }
        /^  name: / && object == "" { object = $2 }
        / name: / || /^ *- name: / { variable = $NF }
        /secretKeyRef:|secretRef:/ { printf " %s:%s:%s", overlay, object, /secretRef:/ ? "all" : variable }' "$work/$name.yaml")"
done
equal "secrets that are variables: that of a server that can't read files" "dev-in-cluster:speakr-s3:ROOT_SECRET_KEY" "${variables# }"

step "Images"
for overlay in dev dev-in-cluster staging prod; do
    unknown=""
    for image in $(sed -n 's/^ *-\{0,1\} *image: *//p' "$work/$overlay.yaml" | sort -u); do
        # Built by the flake: image-NAME of nix/images.nix or nix/part-images.nix.
        grep -qE "name = \"$image\"" nix/images.nix nix/part-images.nix || unknown="$unknown $image"
    done
    equal "images of $overlay that the flake doesn't build: none" "" "$unknown"
done

step "Alerts"
unknown=""
for metric in $(grep -oE 'speakr_[a-z_]+' k8s/monitoring/alerts.yaml | sed -E 's/_(bucket|count|sum)$//' | sort -u); do
    grep -rqF "\"$metric\"" crates --include='*.rs' || unknown="$unknown $metric"
done
equal "metrics of alerts that no service measures: none" "" "$unknown"
missing=""
for anchor in $(sed -n 's/.*runbook: docs\/runbook.md#//p' k8s/monitoring/alerts.yaml | sort -u); do
    grep '^##* ' docs/runbook.md | sed "s/^#* //; s/[^A-Za-z0-9 -]//g; s/ /-/g" | tr '[:upper:]' '[:lower:]' | grep -cx "$anchor" >/dev/null || missing="$missing $anchor"
done
equal "places in the runbook that alerts name and it hasn't: none" "" "$missing"
missing=""
for alert in $(sed -n 's/.*alert: //p' k8s/monitoring/alerts.yaml); do
    grep -A2 "alertname: $alert$" k8s/monitoring/alerts_test.yaml | grep -c exp_alerts >/dev/null || missing="$missing $alert"
done
equal "alerts without a case in which they come: none" "" "$missing"
# What a mail shows of an alert, and what the alerts have.
shown=$(sed -n '/sns_configs = /,/^ *}]/p' terraform/modules/monitoring/main.tf | grep -oE '\.Annotations\.[a-z_]+' | sed 's/.*\.//' | sort -u)
equal "what a mail says of an alert" "description runbook summary" "$(printf '%s' "$shown" | tr '\n' ' ')"
missing=""
for annotation in $shown; do
    missing="$missing$(awk -v annotation="$annotation" '
        function tell() { if (alert != "" && !found) printf " %s of %s", annotation, alert }
        / alert: / { tell(); alert = $NF; found = 0 }
        $1 == annotation ":" && NF > 1 { found = 1 }
        END { tell() }' k8s/monitoring/alerts.yaml)"
done
equal "what a mail says and an alert hasn't: none" "" "$missing"
if has promtool; then
    check "the rules are read" promtool check rules k8s/monitoring/alerts.yaml
    check "each alert comes when it should" promtool test rules k8s/monitoring/alerts_test.yaml
else
    not_run alerts "promtool isn't here, which runs their tests: Debian's package prometheus, or Homebrew's"
fi

step "Configurations"
nats=$(scripts/tools.sh nats)/nats-server
mkdir -p "$work/nats" && cp deploy/nats/*.conf k8s/base/nats/*.conf k8s/components/nats-cluster/*.conf "$work/nats/"
for user in TRANSCRIBER EMBEDDER QUERY_SVC CLI OPERATOR; do echo "SPEAKR_NATS_${user}_PASSWORD: \"p\""; done >"$work/nats/passwords.conf"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
bus() {
    env SPEAKR_NATS_SERVER_NAME=test SPEAKR_NATS_STORE=/data SPEAKR_NATS_CERT="$work/cert.pem" \
        SPEAKR_NATS_KEY="$work/key.pem" SPEAKR_NATS_CA="$work/cert.pem" "$nats" --config "$work/nats/$1" -t
}
check "the bus reads its configuration, with passwords from a file" bus kubernetes.conf
check "… and that of a cluster of three" bus cluster.conf
: >"$work/nats/passwords.conf"
refused "a bus without passwords doesn't start" "SPEAKR_NATS_TRANSCRIBER_PASSWORD" bus kubernetes.conf
if [ -x "${SPEAKR_OTELCOL:-}" ]; then
    for config in k8s/base/otel-collector/config.yaml k8s/components/aws/otel-collector.yaml; do
        check "the collector reads $config" env METRICS_WRITE_URL=https://metrics.example/api/v1/remote_write \
            AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$SPEAKR_OTELCOL" validate --config "$config"
    done
else
    not_run collector "SPEAKR_OTELCOL names no OpenTelemetry Collector, which reads its configurations"
fi

tell_checks "Static checks of k8s/"
