#!/usr/bin/env bash
# Fills the vault of an emulator of AWS (moto) with scripts/cloud-secrets.sh, and looks whether what
# is in it is what the pods need: a server of the bus starts with it, and lets its users in; a PostgreSQL
# gets its roles, and lets them in by the URLs.

# shellcheck source=scripts/infra/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

out=$INFRA_DIR/secrets
rm -rf "$out"
mkdir -p "$out/nats/store"
for tool in moto aws nats; do
    bin=$("$ROOT/scripts/tools.sh" "$tool") || die "$tool could not be fetched; pip's message is above."
    # Python's own tools lie among them: only what is looked for by name may come from there.
    mkdir -p "$out/bin"
    for program in moto_server aws nats-server; do
        if [ -x "$bin/$program" ]; then ln -sf "$bin/$program" "$out/bin/$program"; fi
    done
done
PATH=$out/bin:$PATH
python=$("$ROOT/scripts/tools.sh" iam)/python || die "botocore could not be fetched; pip's message is above."

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1
export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator
moto_server --host 127.0.0.1 --port "$port" >"$out/moto.log" 2>&1 &
emulator=$!
server="" postgres=""
finish() {
    kill "$emulator" 2>/dev/null || true
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    # At once, whoever is connected.
    if [ -n "$postgres" ]; then kill -INT "$postgres" 2>/dev/null || true; fi
    wait 2>/dev/null || true
    rm -rf "$out/values" "$out/nats" "$out/postgres" "$out/fakes"
}
trap finish EXIT
for _ in $(seq 300); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    kill -0 "$emulator" 2>/dev/null || die "the emulator ended: $(tail -n 5 "$out/moto.log")"
    sleep 0.1
done

# Asks the emulator by botocore: each call of the command line would take a second or more.
#   ask make NAME...          makes entries as Terraform does, empty
#   ask read FOLDER NAME...   writes what is in them into files
ask() {
    "$python" - "$@" <<'PY'
import sys
from pathlib import Path
import botocore.session
vault = botocore.session.get_session().create_client("secretsmanager")
what, *rest = sys.argv[1:]
if what == "make":
    for name in rest:
        vault.create_secret(Name=f"speakr/dev/{name}")
else:
    folder, *names = rest
    for name in names:
        value = vault.get_secret_value(SecretId=f"speakr/dev/{name}")["SecretString"]
        Path(folder, name).write_text(value)
PY
}

# By the table that a test of Terraform's holds true.
# shellcheck disable=SC2016  # backticks of Markdown
names=$(sed -nE 's/^\| `((api|database|nats)-[a-z-]+)` \|.*/\1/p' terraform/modules/secrets/README.md)
# shellcheck disable=SC2086  # a list of words
ask make $names
secrets() { "$ROOT/scripts/cloud-secrets.sh" dev "$@" >>"$out/filling.log" 2>&1 || {
    cat "$out/filling.log" >&2
    die "cloud-secrets.sh dev $* failed."
}; }
empty() { "$ROOT/scripts/cloud-secrets.sh" dev | sed -n 's/^EMPTY *//p' | paste -sd ' ' -; }

[ "$(empty | wc -w | tr -d ' ')" = "$(printf '%s\n' "$names" | wc -l | tr -d ' ')" ] || die "not all entries are empty before any is filled: $(empty)"
secrets bus
SPEAKR_BUS_NAMES=bus.example.org secrets certificates
echo "a token" | secrets api-token
[ "$(empty)" = "speakr/dev/database-app speakr/dev/database-owner" ] || die "others than the database's entries are empty: $(empty)"
if "$ROOT/scripts/cloud-secrets.sh" dev nonsense 2>/dev/null; then die "nonsense was taken."; fi
mkdir "$out/values"
# shellcheck disable=SC2046  # a list of words
ask read "$out/values" $(printf '%s\n' "$names" | grep -v '^database')
[ "$(cat "$out/values/api-token")" = atoken ] || die "the token isn't what was given."
if grep -qFf "$out/values/nats-cli" "$out/filling.log"; then die "a password was printed."; fi

# A server with what its pod gets, and the shipped configuration.
cp deploy/nats/*.conf "$out/nats/"
cp "$out/values/nats-server" "$out/nats/passwords.conf"
bus=$(free_port)
# The passwords stand before the users who have them, whether users.conf includes them itself or not.
if ! grep -q passwords.conf deploy/nats/users.conf; then
    cat "$out/values/nats-server" deploy/nats/users.conf >"$out/nats/users.conf"
fi
{
    sed -e "s/^port: .*/port: $bus/" -e 's/^http: .*//' deploy/nats/nats-server.conf
    printf 'tls { cert_file: "%s", key_file: "%s" }\n' "$out/values/nats-tls-cert" "$out/values/nats-tls-key"
} >"$out/nats/test.conf"
SPEAKR_NATS_SERVER_NAME=test SPEAKR_NATS_STORE=$out/nats/store nats-server -c "$out/nats/test.conf" >"$out/nats.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$bus") 2>/dev/null; then break; fi
    kill -0 "$server" 2>/dev/null || die "the bus didn't start with what is in the vault: $(tail -n 5 "$out/nats.log")"
    sleep 0.1
done

# NATS speaks first, in plain text, and then TLS: openssl knows neither, so a few lines of Python do it.
try() {
    python3 - "$bus" "$out/values/nats-ca" "$1" "$2" <<'PY'
import json, socket, ssl, sys
port, authority, user, password = sys.argv[1:]
plain = socket.create_connection(("127.0.0.1", int(port)), 10)
assert plain.recv(4096).startswith(b"INFO ")
bus = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname="speakr-nats.speakr.svc.cluster.local")
login = {"user": user, "pass": password, "verbose": False, "lang": "python", "version": "0"}
bus.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")
answer = b""
while b"PONG" not in answer and b"-ERR" not in answer:
    part = bus.recv(4096)
    if not part:
        break
    answer += part
sys.exit(0 if b"PONG" in answer else 1)
PY
}
for user in transcriber embedder query_svc cli operator; do
    try "$user" "$(cat "$out/values/nats-$(printf '%s' "$user" | tr _ -)")" || die "the bus doesn't let $user in with its secret."
done
if try cli wrong; then die "the bus lets anybody in."; fi

# ---- the database: a PostgreSQL of this machine in place of RDS, which no program of ours reaches by TLS here, for it
# is built without.

programs=$("$ROOT/scripts/tools.sh" postgres) || die "PostgreSQL could not be fetched; pip's message is above."
data=$out/postgres/data
mkdir -p "$data"
# PostgreSQL doesn't run as root.
as_nobody=""
if [ "$(id -u)" = 0 ]; then
    chown -R 65534:65534 "$out/postgres"
    as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups --"
fi
printf masters >"$out/values/master"
chmod a+r "$out/values/master"
# shellcheck disable=SC2086  # a list of words
$as_nobody "$programs/initdb" --username speakr_master --auth scram-sha-256 --pwfile "$out/values/master" --encoding UTF8 \
    --locale C --no-sync --pgdata "$data" >"$out/postgres.log" 2>&1 || die "initdb failed: $(tail -n 5 "$out/postgres.log")"
PGPORT=$(free_port)
export PGPORT
# shellcheck disable=SC2086
$as_nobody "$programs/postgres" -D "$data" -p "$PGPORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
    >>"$out/postgres.log" 2>&1 &
postgres=$!
for _ in $(seq 300); do
    if "$programs/pg_isready" --quiet --host 127.0.0.1; then break; fi
    kill -0 "$postgres" 2>/dev/null || die "PostgreSQL didn't start: $(tail -n 5 "$out/postgres.log")"
    sleep 0.1
done
sql() { "$programs/psql" --no-psqlrc --quiet --tuples-only --no-align --dbname "$1" --command "$2"; }
PGPASSWORD=masters sql "postgres://speakr_master@127.0.0.1:$PGPORT/postgres" "CREATE DATABASE speakr"

# psql, from where it is called: it has to find the certificate that a path names from elsewhere.
mkdir "$out/fakes" "$out/elsewhere"
touch "$out/elsewhere/bundle.pem"
cat >"$out/fakes/psql" <<SH
#!/bin/sh
[ -f "\$PGSSLROOTCERT" ] && [ "\$PGSSLMODE" = verify-full ] || { echo "psql: no certificate \$PGSSLROOTCERT, or not verify-full" >&2; exit 1; }
PGSSLMODE=disable exec "$programs/psql" "\$@"
SH
chmod +x "$out/fakes/psql"
as_master() {
    (cd "$out/elsewhere" && PATH=$out/fakes:$PATH PGUSER=speakr_master PGPASSWORD=masters PGSSLMODE=verify-full PGSSLROOTCERT=$1 \
        "$ROOT/scripts/cloud-secrets.sh" dev database 127.0.0.1) >>"$out/filling.log" 2>&1
}
if as_master missing.pem; then die "a certificate that isn't there was taken."; fi
grep -q "PGSSLROOTCERT is $out/elsewhere/missing.pem, and there is no such file" "$out/filling.log" ||
    die "of a certificate that isn't there it isn't said that it isn't: $(tail -n 5 "$out/filling.log")"
[ "$(empty)" = "speakr/dev/database-app speakr/dev/database-owner" ] || die "something was filled without the database: $(empty)"
# Twice: a password is turned over so.
for _ in 1 2; do
    as_master bundle.pem || die "cloud-secrets.sh dev database failed: $(tail -n 5 "$out/filling.log")"
    [ -z "$(empty)" ] || die "not all entries are filled: $(empty)"
    ask read "$out/values" database-owner database-app
    for role in owner app; do
        came=$(sql "$(cat "$out/values/database-$role")" "SELECT current_user") || die "the database doesn't let speakr_$role in by its URL."
        [ "$came" = "speakr_$role" ] || die "the URL of database-$role is $came's."
    done
done
if sql "postgres://speakr_app:wrong@127.0.0.1:$PGPORT/speakr" "SELECT 1" 2>/dev/null; then die "the database lets anybody in."; fi
if sql "$(cat "$out/values/database-app")" "CREATE TABLE speakr.t ()" 2>/dev/null; then die "speakr_app may change the schema."; fi
sql "$(cat "$out/values/database-owner")" "CREATE TABLE speakr.t ()" || die "speakr_owner may not change the schema."
if grep -qF -e "$(sed -E 's|.*:([^@:]*)@.*|\1|' "$out/values/database-owner")" "$out/filling.log"; then die "a password was printed."; fi
say "Twelve entries, filled by cloud-secrets.sh and read back; a bus started with its own, by TLS, let its five users in and nobody else, and a database its two roles."
