#!/usr/bin/env bash
# Measures accuracy, speed, latency and search with the release build, beside a peer.
#
#   scripts/bench.sh              all of them; speech from SPEAKR_SPEECH_DIR, else the bundled clips
#   scripts/bench.sh COMMAND …    one of them: see "scripts/bench.sh --help"

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh demo
step "Building the program and the bench (release)"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --release --workspace --bins
bench=$TARGET_DIR/release/speakr-bench

if [ "$#" -gt 0 ]; then
    exec "$bench" "$@"
fi
speech=${SPEAKR_SPEECH_DIR:-$ROOT/assets/speech}
failed=""
measure() {
    step "$1"
    shift
    "$bench" "$@" || failed="$failed $1"
}

# The peer runs on the same weights. Without it the rest is measured all the same, and says so.
if [ -z "${SPEAKR_PEER_PYTHON:-}" ] && peer=$(scripts/tools.sh peer); then
    model=$TOOLS_DIR/peer-model-tiny.en
    if [ -d "$model" ] || "$peer/python" crates/bench/peer/ggml_to_ctranslate2.py \
        assets/models/ggml-tiny.en-q8_0.bin "$model" >&2; then
        export SPEAKR_PEER_PYTHON=$peer/python SPEAKR_PEER_MODEL=$model
    else
        rm -rf "$model"
        say "The peer's model could not be made: speakr is measured alone."
    fi
fi

# A larger set of speech has to reach the targets; of the bundled clips it is only told when they get
# worse.
limits=crates/bench/thresholds.toml
[ -z "${SPEAKR_SPEECH_DIR:-}" ] || limits=crates/bench/targets.toml
base=${SPEAKR_MODELS_DIR:-}/ggml-base-q5_1.bin
also=()
[ ! -f "$base" ] || also=(--also "$base")

measure "Word error rate, as files and live" accuracy --speech "$speech" --real-time \
    --thresholds "$limits"
if [ -n "${SPEAKR_SPEECH_DIR:-}" ] && [ -f "$base" ]; then
    measure "The same by a larger model" accuracy --speech "$speech" --real-time \
        --model "$base" --thresholds "$limits"
    measure "Other languages" accuracy --speech "$speech" --pace file --model "$base" \
        --languages de,es,fr,it,pt --most-wrong-words 10
    measure "Other languages, found out" accuracy --speech "$speech" --pace file --model "$base" \
        --languages de,es,fr,it,pt --detect-language --most-wrong-words 10
else
    say "not measured: base-q5_1 and other languages; they take SPEAKR_SPEECH_DIR with such speech" \
        "and SPEAKR_MODELS_DIR with ggml-base-q5_1.bin"
fi
# An empty array is unset to bash 3, which macOS has.
measure "Processor time and memory, beside faster-whisper" speed --speech "$speech" \
    ${also[@]+"${also[@]}"}
# No more after 90 s than after 30: the last words are the same, so what differs is noise. Medians of one length differ
# by some 60 ms between runs of a busy machine; text that is made anew from the beginning would take seconds more.
measure "From Enter to the text" latency --speech "$speech" --limit-ms 500 --growth-ms 150
measure "Three hours of speech" length --speech "$speech"
measure "From the call to the first text" first-text
measure "Found in other words" recall
measure "A large library" index

# The platform, with all its real parts.
scripts/setup.sh test
PATH=$(scripts/tools.sh nats):$(scripts/tools.sh postgres):$(scripts/tools.sh s3):$PATH
export PATH
measure "From a command to its event" bus
measure "A full queue, one transcriber and two" throughput
if corpus=$(scripts/corpus.sh); then
    # Vectors by the peer's runtime, which computes the same model in half of the time. Without it
    # the bench makes them itself.
    vectors=${corpus%.txt}.all-minilm-l6-v2-int8-speakr.100000.100.f32
    if [ ! -s "$vectors" ] && peer=$(scripts/tools.sh peer); then
        "$peer/python" crates/bench/peer/embed_passages.py assets/models/all-minilm-l6-v2 \
            "$corpus" 100000 100 "$vectors" || say "The bench embeds the passages itself."
    fi
    measure "The query API over a large index" query --corpus "$corpus"
else
    failed="$failed query (no corpus)"
fi
[ -z "$failed" ] || die "not reached:$failed."
