#!/usr/bin/env bash
# Builds speakr without models inside, and sees that it takes them from a folder, and says what to do where there is none.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh demo

# All of the workspace's features resolve as in other builds, so that little is compiled twice. The program as the other
# builds have it comes back at the end.
step "Building speakr without models inside"
whole=$TARGET_DIR/debug/speakr
without=$TARGET_DIR/unbundled/speakr
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --no-default-features --bin speakr
mkdir -p "$TARGET_DIR/unbundled"
mv "$whole" "$without"
step "Building speakr with them again"
# shellcheck disable=SC2086
cargo build $LOCKED --workspace --bin speakr

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in $(own_variables); do unset "$name"; done
export SPEAKR_HOME=$scratch/home SPEAKR_CONFIG=$scratch/none.toml HF_HUB_OFFLINE=1
speech=assets/speech/jfk.wav

step "The models aren't inside"
models=$(cat assets/models/*.bin | wc -c)
bytes() { wc -c <"$1" | tr -d ' '; }
[ $(($(bytes "$whole") - $(bytes "$without"))) -ge "$models" ] ||
    die "the program without models has $(bytes "$without") bytes, the other $(bytes "$whole"): they differ by less than the $models of the models."

step "Without a folder it says what to do"
code=0
said=$("$without" transcribe "$speech" 2>&1) || code=$?
[ "$code" != 0 ] || die "it transcribed without a model: $said"
case $said in *"models pull"*) ;; *) die "it doesn't say how to get a model: $said" ;; esac

step "With a folder it transcribes and finds"
export SPEAKR_MODELS_DIR=$ROOT/assets/models
heard=$("$without" transcribe --model tiny.en-q8_0-speakr "$speech")
case $heard in *"your country"*) ;; *) die "it heard: $heard" ;; esac
found=$("$without" search "citizens must serve their nation")
case $found in *"your country"*) ;; *) die "it found: $found" ;; esac
say "A build without models inside works with those of a folder."
