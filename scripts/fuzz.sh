#!/usr/bin/env bash
# Runs every fuzz target for so many seconds (SECONDS_EACH, 60 unless told). What a target found is
# in fuzz/artifacts. No sanitizer: the stable compiler has none, and the code has no unsafe.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh build
bin=$(scripts/tools.sh fuzz)
PATH=$bin:$PATH
export PATH
export CARGO_TARGET_DIR=$TARGET_DIR/fuzz
mkdir -p "$CARGO_TARGET_DIR"

for target in messages sound bodies; do
    step "Fuzzing $target"
    # What is found on the way is kept in the first folder; the second has where to begin.
    mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target"
    log=$CARGO_TARGET_DIR/$target.log
    # libFuzzer writes a line for each new input: the end is enough, unless something was found.
    if ! cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="${SECONDS_EACH:-60}" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die "the fuzz target $target found something, or wasn't built: the whole log is $log."
    fi
    grep -E '^(Done|stat::)' "$log"
done
