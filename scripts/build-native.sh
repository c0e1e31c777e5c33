#!/usr/bin/env bash
# Builds the release binary for this machine and prints where it is. An x86-64 processor without AVX2 gets a
# speech engine that does without: slower, but it runs.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Switches off what this processor lacks of that which .cargo/config.toml has the engine compiled with.
fit_engine() {
    local flags pair lacking=""
    [ "$(uname -m)" = x86_64 ] && [ -r /proc/cpuinfo ] || return 0
    flags=" $(sed -n '/^flags[[:space:]]*:/{s/^[^:]*://p;q;}' /proc/cpuinfo) "
    for pair in SSE42:sse4_2 AVX:avx AVX2:avx2 FMA:fma F16C:f16c BMI2:bmi2; do
        case $flags in *" ${pair#*:} "*) continue ;; esac
        export "GGML_${pair%:*}=OFF"
        lacking="$lacking ${pair#*:}"
    done
    [ -n "$lacking" ] || return 0
    say "This processor lacks$lacking: the speech engine is built without."
    # CMake keeps what an earlier build was told.
    cargo clean --release --package whisper-rs-sys
}

need_rust
scripts/setup.sh build
step "Building the release binary"
fit_engine
cargo build --release --package speakr
echo "$TARGET_DIR/release/speakr"
