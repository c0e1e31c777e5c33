#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to cargo-nextest.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh test
bin=$(scripts/tools.sh nextest)
bin=$bin:$(scripts/tools.sh postgres):$(scripts/tools.sh s3)
PATH=$bin:$PATH
export PATH

step "Building the program and its tests"
# The tests of crates/e2e drive the program itself, which "cargo test" alone wouldn't build. All
# builds name the whole workspace, so that features resolve alike and nothing is compiled twice.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bins --tests

step "Running the tests"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo nextest run $LOCKED --workspace "$@"

step "Running the examples of the documentation"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo test $LOCKED --workspace --doc
