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
# As docs/operations.md says it of a hosted bus.
cp -R k8s/overlays/prod "$work/tree/k8s/overlays/prod-hosted"
sed -i.before 's#components/nats-cluster#components/hosted-bus#' "$work/tree/k8s/overlays/prod-hosted/kustomization.yaml"
sed -i.before 's#^NATS_URL=.*#NATS_URL=tls://bus.example.org#' "$work/tree/k8s/overlays/prod-hosted/environment/environment.env"
made=()
for overlay in dev dev-in-cluster staging prod prod-keda prod-hosted; do
    check "overlay $overlay is made" sh -c "kubectl kustomize '$work/tree/k8s/overlays/$overlay' >'$work/$overlay.yaml'"
    made+=("$overlay")
done
for cluster in base aws; do
    check "cluster/$cluster is made" sh -c "kubectl kustomize '$work/tree/k8s/cluster/$cluster' >'$work/cluster-$cluster.yaml'"
    made+=("cluster-$cluster")
done
equal "every overlay is among them" "dev dev-in-cluster prod staging" "$(cd k8s/overlays && printf '%s ' * | sed 's/ $//')"
# What components hold a place with, and an environment's facts replace.
left=""
for name in "${made[@]}"; do
    left="$left$(grep -oE '192\.0\.2\.[0-9]+|set-by-the-environment|speakr/ENVIRONMENT/' "$work/$name.yaml" | sort -u | sed "s#^# $name:#" | tr -d '\n' || true)"
done
equal "places that no fact was put into: none" "" "$left"

step "A hosted bus"
equal "what is left of the bus in the cluster: nothing" "" \
    "$(grep -nE 'speakr-nats|nats-(ca|password|server|tls|operator-password)|NATS_(CA|PASSWORD)|speakr-bus' "$work/prod-hosted.yaml")"
equal "who is told where it is: the services' settings, the hourly copy" "2" "$(grep -c 'tls://bus.example.org$' "$work/prod-hosted.yaml")"
equal "… and where their credentials are" "2" "$(grep -c '/etc/speakr/secrets/nats.creds$' "$work/prod-hosted.yaml")"
equal "files of the vault" "embedder:nats.creds,database-url migrate:database-url query-svc:nats.creds,database-url streams-backup:nats.creds transcriber:nats.creds validate:nats.creds,api-token,database-url " \
    "$(awk '/^---$/ { if (kind == "SecretProviderClass") printf "%s:%s ", name, files; kind = ""; files = "" }
        /^kind: / { kind = $2 }
        /^  name: speakr-/ { name = substr($2, 8) }
        /objectAlias: / { files = files (files == "" ? "" : ",") $2 }
        END { if (kind == "SecretProviderClass") printf "%s:%s ", name, files }' "$work/prod-hosted.yaml")"

step "Networks by address"
# Policies that name addresses, as "policy | a direction for each rule | pods | addresses, !exceptions | ports". No rig
# has these addresses, so what they say is held here. kustomize writes every object alike.
by_address() {
    awk '
        function tell() {
            if (kind == "NetworkPolicy" && addresses != "") print name " |" rules " |" pods " |" addresses " |" ports
            kind = ""; name = ""; rules = ""; pods = ""; addresses = ""; ports = ""; part = ""; except = 0
        }
        /^---$/ { tell(); next }
        /^kind: / { kind = $2 }
        /^  name: / { name = $2 }
        /^  [a-zA-Z]+:/ { part = $1; sub(":", "", part); except = 0; next }
        part == "podSelector" && / - speakr-|kubernetes.io\/name: / { pods = pods " " $NF; next }
        part == "podSelector" && !/matchExpressions:|matchLabels:|key: app.kubernetes.io\/name$|operator: In$|values:$/ { pods = pods " ?" $0 }
        part != "egress" && part != "ingress" { next }
        /^  - / { rules = rules " " part }
        / cidr: / { addresses = addresses " " $NF; except = 0; next }
        / except:$/ { except = 1; next }
        except && /^ +- [0-9]/ { addresses = addresses " !" $NF; next }
        / port: / { ports = ports " " $NF; next }
        /endPort: |Selector:|matchLabels:/ || / protocol: / && !/ TCP$/ { ports = ports " ?" $NF }
        END { tell() }' "$1" | LC_ALL=C sort
}
clients="speakr-transcriber speakr-embedder speakr-query-svc"
private="!10.0.0.0/8 !100.64.0.0/10 !169.254.0.0/16 !172.16.0.0/12 !192.168.0.0/16"
# by_address_wanted NUMBER: in the network 10.NUMBER.0.0/16 (terraform/environments)
by_address_wanted() {
    local subnets="10.$1.96.0/24 10.$1.97.0/24 10.$1.98.0/24"
    cat <<T
api-from-ingress | ingress | speakr-query-svc | $subnets | api
bus-from-load-balancer | ingress | speakr-nats | $subnets | websocket
services-to-aws | egress | $clients speakr-otel-collector speakr-streams-backup speakr-validate | 0.0.0.0/0 $private | 443
services-to-database | egress | speakr-embedder speakr-query-svc speakr-migrate speakr-validate | 10.$1.104.0/24 10.$1.105.0/24 10.$1.106.0/24 | 5432
services-to-pod-identity | egress | $clients speakr-otel-collector speakr-streams-backup speakr-validate | 169.254.170.23/32 | 80
T
}
for it in dev:10 staging:20 prod:30; do
    check "policies of ${it%:*} that name addresses: these, and no other" diff <(by_address_wanted "${it#*:}") <(by_address "$work/${it%:*}.yaml")
done
check "… and with a hosted bus" diff <(
    {
        by_address_wanted 30 | grep -v '^bus-from-load-balancer '
        echo "services-to-hosted-bus | egress | $clients speakr-streams-backup speakr-validate | 0.0.0.0/0 $private | 443 4222"
    } | LC_ALL=C sort
) <(by_address "$work/prod-hosted.yaml")
equal "… and without AWS: none" "" "$(by_address "$work/dev-in-cluster.yaml")"

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
        k8s/base/migrate.yaml k8s/components/aws/mounts/database-tls.yaml k8s/components/aws/streams-backup.yaml \
        k8s/components/hosted-bus/streams-backup.yaml
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
validation=(k8s/base/validate.yaml k8s/components/aws/mounts/validate.yaml k8s/components/in-cluster-data/validate.yaml
    k8s/components/hosted-bus/validate.yaml k8s/components/hosted-bus/validate-left-out.yaml)
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

step "Alerts and dashboards"
for file in k8s/monitoring/alerts.yaml k8s/monitoring/dashboards/*.json; do
    unknown=""
    metrics=$(grep -oE 'speakr_[a-z_]+' "$file" | sed -E 's/_(bucket|count|sum)$//' | sort -u)
    for metric in $metrics; do
        grep -rqF "\"$metric\"" crates --include='*.rs' || unknown="$unknown $metric"
    done
    equal "metrics of ${file##*/} that no service measures: none" "" "$unknown"
    equal "metrics of ${file##*/} were looked at" yes "$([ "$(printf '%s\n' "$metrics" | wc -l)" -ge 10 ] && echo yes)"
done
# Grafana takes the Prometheus that the reader chooses.
for file in k8s/monitoring/dashboards/*.json; do
    if has jq; then
        check "every query of ${file##*/} asks the Prometheus that is chosen" jq -e '
            .templating.list[0] as $it | $it.type == "datasource" and $it.query == "prometheus"
            and ([.panels[] | select(.type != "row") | .datasource, .targets[].datasource] | length > 20 and all(. == {type: "prometheus", uid: "${\($it.name)}"}))' "$file"
        jq '{groups: [{name: "queries", rules: [.panels[].targets[]?.expr] | to_entries
            | map({record: "query:\(.key)", expr: (.value | gsub("\\$__rate_interval"; "5m"))})}]}' "$file" >"$work/queries-${file##*/}"
    fi
done
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
    for file in "$work"/queries-*.json; do
        if [ -e "$file" ]; then check "the queries of ${file##*/queries-} are read" promtool check rules "$file"; fi
    done
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
