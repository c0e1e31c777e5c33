#!/usr/bin/env bash
# Puts secrets into the vault of an environment (AWS Secrets Manager): what is made up here, and what is
# given. Nothing is printed, and nothing stays on this disk.
#
#   scripts/cloud-secrets.sh ENV bus             passwords of the bus's five users, and its servers' file
#   scripts/cloud-secrets.sh ENV certificates    an authority of its own, and the bus's certificate by it
#   scripts/cloud-secrets.sh ENV database HOST   passwords of the database's roles, made there too, and URLs
#   scripts/cloud-secrets.sh ENV api-token       a token of the API, from standard input
#   scripts/cloud-secrets.sh ENV                 which are filled
#
# Terraform has made the entries (terraform/modules/secrets has the table). It needs the AWS command line
# with rights to put values, and, for the certificates, openssl. "database" needs psql, a road to the
# database, and in its environment what libpq takes to come in as the master: PGUSER, PGPASSWORD,
# PGSSLMODE=verify-full and PGSSLROOTCERT (docs/operations.md).
#
# SPEAKR_BUS_NAMES   further names that the bus's certificate is good for, separated by commas

# Before another folder is gone to: a path is meant from where this was called.
called_from=$PWD

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

environment=${1:-}
group=${2:-}
case $environment in
dev | staging | prod) ;;
*) die "scripts/cloud-secrets.sh takes dev, staging or prod first, not \"$environment\"." ;;
esac
has aws || die "the AWS command line isn't here: https://docs.aws.amazon.com/cli"

umask 077
WORK=$(mktemp -d "${TMPDIR:-/tmp}/speakr-secrets.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

# Of 192 bits, in letters that need no quoting anywhere.
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Puts file $2 into the entry $1. By a file, for arguments are seen by every process here.
put() {
    aws secretsmanager put-secret-value --secret-id "speakr/$environment/$1" --secret-string "file://$2" \
        --output text --query Name >&2 ||
        die "the vault didn't take $1: is the entry there (terraform apply), and may you put values?"
}

bus() {
    local user
    for user in transcriber embedder query_svc cli operator; do
        password >"$user"
        printf 'SPEAKR_NATS_%s_PASSWORD: "%s"\n' "$(printf '%s' "$user" | tr '[:lower:]' '[:upper:]')" "$(cat "$user")" >>passwords.conf
    done
    # The servers first: a service that has a password before them is refused, and tries again.
    put nats-server passwords.conf
    put nats-transcriber transcriber
    put nats-embedder embedder
    put nats-query-svc query_svc
    put nats-cli cli
    put nats-operator operator
    say "The bus's servers take the new passwords after a restart or a reload (docs/deployment.md)."
}

certificates() {
    local names=DNS:speakr-nats suffix number name
    has openssl || die "openssl isn't here, and makes the certificates."
    for suffix in .speakr .speakr.svc .speakr.svc.cluster.local; do names="$names,DNS:speakr-nats$suffix"; done
    for number in 0 1 2; do names="$names,DNS:speakr-nats-$number.speakr-nats-peers"; done
    # By "kubectl port-forward" a person reaches it (docs/runbook.md).
    names="$names,DNS:localhost,IP:127.0.0.1"
    for name in $(printf '%s' "${SPEAKR_BUS_NAMES:-}" | tr , ' '); do names="$names,DNS:$name"; done
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key 2>/dev/null
    openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=speakr $environment" -out ca.pem \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
    openssl ecparam -name prime256v1 -genkey -noout -out nats.key 2>/dev/null
    openssl req -new -key nats.key -subj /CN=speakr-nats -out nats.csr 2>/dev/null
    # Servers show it to clients and to each other.
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n' "$names" >nats.ext
    openssl x509 -req -in nats.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile nats.ext -out nats.crt 2>/dev/null
    openssl verify -CAfile ca.pem nats.crt >/dev/null || die "the certificate that was made isn't good."
    # Nothing signs with it any more.
    rm -f ca.key
    put nats-ca ca.pem
    put nats-tls-cert nats.crt
    put nats-tls-key nats.key
    say "The certificate is good for 365 days. All services read who vouches for it again by themselves; the servers after a restart."
}

database() {
    local host=$1 roles=$ROOT/deploy/postgres/roles.sql
    [ -n "$host" ] || die "the host name of the database is missing: terraform output -raw database_address"
    has psql || die "psql isn't here, and makes the database's roles."
    [ -f "$roles" ] || die "there is no $roles."
    [ -n "${PGUSER:-}" ] && [ -n "${PGPASSWORD:-}" ] || die "PGUSER and PGPASSWORD of the database's master are missing (docs/operations.md tells where they are)."
    # "system" is libpq's own word for the certificates of this machine.
    if [ "${PGSSLROOTCERT:-system}" != system ]; then
        case $PGSSLROOTCERT in /*) ;; *) export PGSSLROOTCERT=$called_from/$PGSSLROOTCERT ;; esac
        [ -f "$PGSSLROOTCERT" ] || die "PGSSLROOTCERT is $PGSSLROOTCERT, and there is no such file (docs/operations.md, step 4, fetches it)."
    fi
    SPEAKR_OWNER_PASSWORD=$(password)
    SPEAKR_APP_PASSWORD=$(password)
    export SPEAKR_OWNER_PASSWORD SPEAKR_APP_PASSWORD
    # The database first: a URL that it doesn't know yet would be refused.
    PGHOST=$host PGDATABASE=${PGDATABASE:-speakr} psql --no-psqlrc --quiet --file "$roles" ||
        die "the database's roles weren't made; psql's message is above. The vault is as it was."
    printf 'postgres://speakr_owner:%s@%s:%s/speakr' "$SPEAKR_OWNER_PASSWORD" "$host" "${PGPORT:-5432}" >owner
    printf 'postgres://speakr_app:%s@%s:%s/speakr' "$SPEAKR_APP_PASSWORD" "$host" "${PGPORT:-5432}" >app
    put database-owner owner
    put database-app app
}

api_token() {
    [ ! -t 0 ] || say "The token, and then Enter and Ctrl-D:"
    tr -d ' \n' >token
    [ -s token ] || die "no token came on standard input; speakr-query-svc token create makes one."
    put api-token token
}

# What has a value has a version.
filled() {
    aws secretsmanager list-secrets --filters "Key=name,Values=speakr/$environment/" --output json \
        --query 'SecretList[].[Name, SecretVersionsToStages]' |
        python3 -c 'import json, sys
for name, versions in sorted(json.load(sys.stdin)):
    print(("filled  " if versions else "EMPTY   ") + name)'
}

case $group in
bus) bus ;;
certificates) certificates ;;
database) database "${3:-}" ;;
api-token) api_token ;;
"") filled ;;
*) die "scripts/cloud-secrets.sh knows no \"$group\"; there are bus, certificates, database and api-token." ;;
esac
