# shellcheck shell=bash
# Makes the database where there is none, and serves it. The password of the first start comes from
# POSTGRES_PASSWORD or the file POSTGRES_PASSWORD_FILE names.
user=${POSTGRES_USER:-speakr}
database=${POSTGRES_DB:-$user}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?the database is new: give it a password (or POSTGRES_PASSWORD_FILE)}"
    # Beside, and then in place: a start that is broken off leaves no half of a database.
    new=$PGDATA.new
    rm -rf "$new"
    initdb --pgdata "$new" --username "$user" --auth-host scram-sha-256 --auth-local trust \
        --encoding UTF8 --locale C.UTF-8 --data-checksums --pwfile <(printf '%s' "$POSTGRES_PASSWORD")
    echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
    printf '%s\n' "CREATE DATABASE \"$database\";" |
        postgres --single -D "$new" postgres >/dev/null || true
    mv "$new" "$PGDATA"
fi
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql "$@"
