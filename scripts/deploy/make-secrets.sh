#!/usr/bin/env bash
# Makes the secrets of an environment that keeps its data in the cluster: passwords, and certificates of
# the bus by an authority of its own. What is there stays as it is.
#
#   scripts/deploy/make-secrets.sh dev-in-cluster
#
# An administrator runs it; who deploys can neither read nor write secrets. In AWS the vault has them.
# The Secret speakr-clients is for people: passwords of the bus's users "cli" and "operator", and who
# vouches for its certificate.

# shellcheck source=scripts/deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment=${1:-}
need_tools
has openssl || die "openssl isn't here, and makes the certificates."
need_environment "$environment"
[ ! -d "$MANIFESTS/k8s/overlays/$environment/environment" ] ||
    die "the secrets of $environment are in the vault of AWS: see docs/deployment.md."
make_work
umask 077
cd "$WORK"

there=$(k get secrets -o name)
if grep -qx secret/speakr-nats <<<"$there"; then
    die "secrets are there already, and stay. To begin anew: kubectl --namespace $NAMESPACE delete secrets \\
  speakr-{nats,transcriber,embedder,query-svc,migrate,postgres,s3,clients} speakr-tls
(with the volumes, or their passwords don't fit any more: docs/deployment.md)."
fi
# Without the last of them nothing was deployed: a run that was broken off left them.
half=$(grep -xE 'secret/speakr-(transcriber|embedder|query-svc|migrate|postgres|s3|clients)' <<<"$there" || true)
if [ -n "$half" ]; then
    say "Secrets of a run that was broken off are made anew."
    # shellcheck disable=SC2086  # a list of words
    k delete $half >/dev/null
fi

password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# $1: name of the files; $2: subject; $3: names that it is good for. By the authority "ca", 10 years and 1.
certificate() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n' "$3" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

step "Certificates"
openssl ecparam -name prime256v1 -genkey -noout -out ca.key 2>/dev/null
openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=speakr $environment" -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
names=DNS:speakr-nats
for suffix in ".$NAMESPACE" ".$NAMESPACE.svc" ".$NAMESPACE.svc.cluster.local"; do names="$names,DNS:speakr-nats$suffix"; done
for number in 0 1 2; do names="$names,DNS:speakr-nats-$number.speakr-nats-peers"; done
certificate nats speakr-nats "$names,DNS:localhost,IP:127.0.0.1"
certificate api "${SPEAKR_API_HOST:-speakr.example}" "DNS:${SPEAKR_API_HOST:-speakr.example}"
# Nothing signs with it any more.
rm -f ca.key

step "Passwords"
for user in transcriber embedder query_svc cli operator; do
    password >"nats-$user"
    printf 'SPEAKR_NATS_%s_PASSWORD: "%s"\n' "$(printf '%s' "$user" | tr '[:lower:]' '[:upper:]')" "$(cat "nats-$user")" >>passwords.conf
done
for role in admin owner app; do password >"$role-password"; done
password >s3-secret
printf 'postgres://speakr_owner:%s@speakr-postgres:5432/speakr' "$(cat owner-password)" >owner-url
printf 'postgres://speakr_app:%s@speakr-postgres:5432/speakr' "$(cat app-password)" >app-url

secret() {
    local name=$1
    shift
    k create secret generic "$name" "$@" >/dev/null
    say "  $name"
}

step "Secrets"
# Somebody's own certificate of the API stays.
grep -qx secret/speakr-tls <<<"$there" || k create secret tls speakr-tls --cert=api.crt --key=api.key >/dev/null
secret speakr-transcriber --from-file=nats-password=nats-transcriber --from-file=nats-ca.pem=ca.pem \
    --from-file=s3-secret-access-key=s3-secret
secret speakr-embedder --from-file=nats-password=nats-embedder --from-file=nats-ca.pem=ca.pem \
    --from-file=s3-secret-access-key=s3-secret --from-file=database-url=app-url
secret speakr-query-svc --from-file=nats-password=nats-query_svc --from-file=nats-ca.pem=ca.pem \
    --from-file=s3-secret-access-key=s3-secret --from-file=database-url=app-url
secret speakr-migrate --from-file=database-url=owner-url
secret speakr-postgres --from-file=admin-password --from-file=owner-password --from-file=app-password
secret speakr-s3 --from-file=secret-access-key=s3-secret
secret speakr-clients --from-file=cli-password=nats-cli --from-file=operator-password=nats-operator \
    --from-file=nats-ca.pem=ca.pem
# Last: by it is seen that all of them are there.
secret speakr-nats --from-file=passwords.conf --from-file=tls.crt=nats.crt --from-file=tls.key=nats.key \
    --from-file=nats-ca.pem=ca.pem
