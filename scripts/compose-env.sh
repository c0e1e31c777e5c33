#!/usr/bin/env bash
# Makes .env for `docker compose up`: a password of its own for each part. One that is there stays.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ ! -e .env ] || die ".env is there already; remove it first, and the volumes with it (docker compose down --volumes)."
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
{
    echo "# Passwords of this machine's platform (compose.yaml). Keep them to yourself."
    for name in POSTGRES_PASSWORD S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY \
        SPEAKR_NATS_{TRANSCRIBER,EMBEDDER,QUERY_SVC,CLI,OPERATOR}_PASSWORD; do
        echo "$name=$(secret)"
    done
} >.env.part
mv .env.part .env
say "Wrote .env."
