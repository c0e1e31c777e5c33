#!/usr/bin/env bash
# What an administrator of the cluster does once for an environment, and again when k8s/cluster or a fact
# changes: the namespace with its bounds, the rights of who deploys, and what the deployment has to know
# of the cloud.
#
#   scripts/deploy/prepare-cluster.sh ENVIRONMENT [--facts FILE] [--storage-class FILE] [--database-ca FILE]
#
# The facts are lines NAME=value for the names of k8s/overlays/ENVIRONMENT/environment/environment.env, and
# what the storage class is made with lines kmsKeyId=… and tagSpecification_N=…: Terraform's outputs
# "environment" and "storage_class". (A storage class can't be changed: it keeps what it was made with, and is left alone
# where --storage-class isn't given.)
# The CA is the PEM file that AWS publishes for RDS in that region.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment=${1:-}
[ $# -gt 0 ] && shift
facts="" storage_class="" database_ca=""
while [ $# -gt 0 ]; do
    case $1 in
    --facts) facts=${2:-} ;;
    --storage-class) storage_class=${2:-} ;;
    --database-ca) database_ca=${2:-} ;;
    *) die "prepare-cluster.sh knows no \"$1\"." ;;
    esac
    shift 2 || die "an option wants a value."
done

need_tools
overlay=$MANIFESTS/k8s/overlays/$environment
[ -n "$environment" ] && [ -d "$overlay" ] || die "there is no environment \"$environment\" in k8s/overlays."
make_work

cluster=base
if [ -d "$overlay/environment" ]; then cluster=aws; fi
step "The cluster ($cluster), at $(kubectl config current-context)"
kubectl kustomize "$MANIFESTS/k8s/cluster/$cluster" >"$WORK/cluster.yaml"
if [ -n "$storage_class" ]; then
    while IFS='=' read -r name value; do
        case $name in
        "" | "#"*) continue ;;
        kmsKeyId | tagSpecification_[1-9]) ;;
        *) die "$storage_class: a storage class of ours is made with no \"$name\", but with kmsKeyId and tagSpecification_1 and so on." ;;
        esac
        printf '  %s: "%s"\n' "$name" "$value"
    done <"$storage_class" >"$WORK/parameters"
    sed -i.before "/^  encrypted: \"true\"\$/r $WORK/parameters" "$WORK/cluster.yaml"
fi
if [ "$cluster" = aws ] && [ -z "$storage_class" ]; then
    kubectl get storageclass speakr --ignore-not-found -o name >"$WORK/class" ||
        die "the cluster can't be asked; see the message above."
    [ -s "$WORK/class" ] ||
        die "the cluster has no storage class speakr yet, and it is made with a key: give --storage-class (docs/deployment.md)."
    documents "$WORK/cluster.yaml" not StorageClass >"$WORK/rest.yaml"
    mv "$WORK/rest.yaml" "$WORK/cluster.yaml"
fi
kubectl apply --server-side --force-conflicts --validate=strict --field-manager=speakr-administrator \
    --filename "$WORK/cluster.yaml"

[ "$cluster" = aws ] || exit 0
if [ -n "$facts" ]; then
    step "The facts of $environment"
    known=$(sed -n 's/^\([A-Z0-9_]*\)=.*/\1/p' "$overlay/environment/environment.env")
    while IFS='=' read -r name value; do
        case $name in "" | "#"*) continue ;; esac
        grep -qx "$name" <<<"$known" || die "$facts: no manifest of $environment knows a fact $name; there are: $(words "$known")"
        [ -n "$value" ] || die "$facts: $name has no value."
    done <"$facts"
    grep -q '^ENVIRONMENT=' "$facts" || printf 'ENVIRONMENT=%s\n' "$environment" >"$WORK/facts.env"
    cat "$facts" >>"$WORK/facts.env"
    k create configmap speakr-environment --from-env-file="$WORK/facts.env" --dry-run=client -o yaml |
        k apply --server-side --force-conflicts --field-manager=speakr-administrator --filename -
fi
if [ -n "$database_ca" ]; then
    grep -q 'BEGIN CERTIFICATE' "$database_ca" || die "$database_ca holds no certificate in PEM."
    k create configmap speakr-database-ca --from-file=ca.pem="$database_ca" --dry-run=client -o yaml |
        k apply --server-side --force-conflicts --field-manager=speakr-administrator --filename -
fi
for name in speakr-environment speakr-database-ca; do
    k get configmap "$name" -o name >/dev/null 2>&1 || say "The ConfigMap $name isn't there yet: nothing can be deployed before."
done
