#!/usr/bin/env bash
# Whether what was pushed can be pulled and started: by digest, from the first registry, as containers of
# their own user with a file system that can't be written, on a bus, a database and a store that are the images of this release too.
#
#   .github/scripts/start-test.sh [IMAGES]
#
# IMAGES is SPEAKR_DIST/images.env. The three services have to be ready (8081, 8082 and 8083), and query_svc to know nobody without a
# token. DOCKER names another engine than docker. Everything is taken away at the end.

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
docker=${DOCKER:-docker}
need "$docker" curl

images=${1:-$DIST/images.env}
[ -s "$images" ] || die "there is no list of images $images: .github/scripts/push-images.sh makes it."
image() { sed -n "s/^$1=//p" "$images"; }
# This long may a service take until it is ready.
patience=${SPEAKR_START_PATIENCE:-120}
run=speakr-start-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-start.XXXXXX")
started=()
leave() {
    local name
    for name in ${started[@]+"${started[@]}"}; do "$docker" rm --force "$run-$name" >/dev/null 2>&1 || true; done
    rm -rf "$work"
}
trap leave EXIT
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# start NAME IMAGE [OPTION…] -- [ARGUMENT…]
start() {
    local name=$1 image=$2 options=()
    shift 2
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    started+=("$name")
    "$docker" run --detach --name "$run-$name" --network host --read-only --tmpfs /tmp --cap-drop ALL \
        --security-opt no-new-privileges:true ${options[@]+"${options[@]}"} "$image" "$@" >/dev/null ||
        die "$name doesn't start: $image"
}
log_of() { "$docker" logs "$run-$1" 2>&1 | tail -n "${2:-15}" | sed 's/^/    /' >&2; }
alive() { [ "$("$docker" inspect --format '{{.State.Running}}' "$run-$1" 2>/dev/null)" = true ]; }
# wait_for NAME WHAT COMMAND…
wait_for() {
    local name=$1 what=$2 end=$((SECONDS + patience))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! alive "$name"; then
            say "The end of what $name said:"
            log_of "$name"
            die "$name started and ended at once: $(image "speakr-$name")"
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            say "The end of what $name said:"
            log_of "$name"
            die "$name isn't $what after $patience s."
        fi
        sleep 0.5
    done
    say "  $name is $what"
}

step "Pulling by digest"
while IFS='=' read -r name reference; do
    again "$docker" pull --quiet "$reference" >/dev/null || die "$reference can't be pulled."
    user=$("$docker" image inspect --format '{{.Config.User}}' "$reference")
    case $user in "" | 0 | 0:* | root | root:*) die "$name runs as root (user \"$user\")." ;; esac
    say "  $name, user $user"
done <"$images"

step "Starting what the services stand on"
umask 077
passwords=$work/nats.env
for user in TRANSCRIBER EMBEDDER QUERY_SVC CLI OPERATOR; do
    printf 'SPEAKR_NATS_%s_PASSWORD=%s\n' "$user" "$(secret)"
done >"$passwords"
password() { sed -n "s/^SPEAKR_NATS_$1_PASSWORD=//p" "$passwords"; }
database_password=$(secret)
access=$(secret)
key=$(secret)
# The configuration is the shipped one; it has to be read by the image's user.
mkdir -p "$work/nats" && cp deploy/nats/*.conf "$work/nats/" && chmod -R a+rX "$work" "$work/nats"
start nats "$(image speakr-nats)" --env-file "$passwords" --env SPEAKR_NATS_SERVER_NAME=start --env SPEAKR_NATS_STORE=/data \
    --tmpfs /data:mode=1777 --volume "$work/nats:/etc/nats:ro" --
start postgres "$(image speakr-postgres)" --env POSTGRES_USER=speakr --env POSTGRES_DB=speakr --env POSTGRES_PASSWORD="$database_password" \
    --tmpfs /data:mode=1777 --tmpfs /run/postgresql:mode=1777 --
# It keeps objects as files in folders that have to be there: one bucket, which keeps versions.
mkdir -p "$work/s3"/{users,versions,objects/speakr,metadata/speakr/meta}
printf '\001' >"$work/s3/metadata/speakr/meta/versioning"
chmod -R a+rwX "$work/s3"
start s3 "$(image speakr-s3)" --env ROOT_ACCESS_KEY="$access" --env ROOT_SECRET_KEY="$key" --volume "$work/s3:/data" --
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_for nats "reached" port_open 4222
wait_for postgres "reached" port_open 5432
wait_for s3 "reached" port_open 7070

step "The migration"
database=postgres://speakr:$database_password@127.0.0.1:5432/speakr
end=$((SECONDS + patience))
until "$docker" run --rm --name "$run-migrate" --network host --read-only --cap-drop ALL --env DATABASE_URL="$database" \
    "$(image speakr-embedder)" migrate >"$work/migrate.log" 2>&1; do
    # The database may still be making its files.
    [ "$SECONDS" -lt "$end" ] || { tail -n 10 "$work/migrate.log" >&2; die "the migration fails."; }
    sleep 1
done
say "  done"

step "The services"
store=(--env S3_ENDPOINT=http://127.0.0.1:7070 --env S3_BUCKET=speakr --env S3_REGION=us-east-1 --env S3_PATH_STYLE=true
    --env S3_ACCESS_KEY_ID="$access" --env S3_SECRET_ACCESS_KEY="$key")
bus=(--env NATS_URL=nats://127.0.0.1:4222)
start transcriber "$(image speakr-transcriber)" "${bus[@]}" "${store[@]}" --env NATS_USER=transcriber \
    --env NATS_PASSWORD="$(password TRANSCRIBER)" --env SPEAKR_HEALTH_ADDR=127.0.0.1:8081 --
start embedder "$(image speakr-embedder)" "${bus[@]}" "${store[@]}" --env NATS_USER=embedder --env DATABASE_URL="$database" \
    --env NATS_PASSWORD="$(password EMBEDDER)" --env SPEAKR_HEALTH_ADDR=127.0.0.1:8082 --
start query-svc "$(image speakr-query-svc)" "${bus[@]}" "${store[@]}" --env NATS_USER=query_svc --env DATABASE_URL="$database" \
    --env NATS_PASSWORD="$(password QUERY_SVC)" --env SPEAKR_HEALTH_ADDR=127.0.0.1:8083 --env SPEAKR_API_ADDR=127.0.0.1:8080 --
ready() { curl --silent --fail --max-time 5 "http://127.0.0.1:$1/health/ready"; }
wait_for transcriber ready ready 8081
wait_for embedder ready ready 8082
wait_for query-svc ready ready 8083
status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 --header 'Content-Type: application/json' \
    --data '{"query_text": "anything"}' http://127.0.0.1:8080/api/v1/query || true)
[ "$status" = 401 ] || die "query_svc answers who brings no token with $status, not 401."
say "  query-svc sends away who brings no token"
summary "Pulled by digest and started: $(wc -l <"$images" | tr -d ' ') images; the three services were ready."
