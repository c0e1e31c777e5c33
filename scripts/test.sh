#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to cargo-nextest.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need_rust
scripts/setup.sh test
bin=$(scripts/tools.sh nextest)
# OpenAI's own client, for the tests of the endpoint that is compatible with theirs.
scripts/tools.sh openai >/dev/null
# A client of the bus in another language, for the test that anybody can write one.
scripts/tools.sh natspy >/dev/null
# What asks the query API for everything that its OpenAPI document allows, and more.
scripts/tools.sh schemathesis >/dev/null
bin=$bin:$(scripts/tools.sh nats):$(scripts/tools.sh postgres):$(scripts/tools.sh s3)
PATH=$bin:$PATH
export PATH

step "Building the program and its tests"
# The tests of crates/e2e drive the program itself, which "cargo test" alone wouldn't build. All
# builds name the whole workspace, so that features resolve alike and nothing is compiled twice.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bins --tests

if [ -z "${SPEAKR_TEST_MODELS_DIR:-}" ]; then
    say "Left out: other languages than English (SPEAKR_TEST_MODELS_DIR names no folder with ggml-base-q5_1.bin)"
fi

# Some tests want a small disk of their own, which on a few systems only root can have.
if [ "$(uname -s)" = Linux ] &&
    ! unshare --mount --map-root-user mount -t tmpfs tmpfs /tmp 2>/dev/null; then
    say "Left out: what happens on a full disk, because this system lets only root mount one"
    SPEAKR_TEST_SKIP=${SPEAKR_TEST_SKIP:+$SPEAKR_TEST_SKIP,}mount
    export SPEAKR_TEST_SKIP
fi

# The tests use the loopback device alone. Where the system allows it they get no other, so that
# nothing can come to depend on a network unnoticed.
offline() { "$@"; }
if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && unshare -n ip link set lo up 2>/dev/null; then
    step "Running the tests, without a network"
    # shellcheck disable=SC2016  # the inner shell expands it
    offline() { unshare -n bash -c 'ip link set lo up && exec "$@"' offline "$@"; }
elif [ "$(uname -s)" = Linux ] && [ -n "${CI:-}" ] && has sudo && sudo -n unshare -n ip link set lo up 2>/dev/null; then
    step "Running the tests, without a network"
    # Root cuts it off; the tests run as who called.
    # shellcheck disable=SC2016  # the inner shell expands it
    offline() {
        sudo -n -E unshare -n bash -c 'ip link set lo up && exec setpriv --reuid="$1" --regid="$2" --init-groups \
            env PATH="$3" HOME="$4" "${@:5}"' offline "$(id -u)" "$(id -g)" "$PATH" "$HOME" "$@"
    }
else
    step "Running the tests (cutting the network off takes root on Linux, so it stays)"
fi
# shellcheck disable=SC2086  # LOCKED is an option or nothing
offline cargo nextest run $LOCKED ${CI:+--no-fail-fast --failure-output immediate-final} --workspace "$@"

# Arguments choose among the tests; documents are no part of a choice.
if [ $# -eq 0 ]; then
    step "Running the examples of the documentation"
    # shellcheck disable=SC2086  # LOCKED is an option or nothing
    offline cargo test $LOCKED --workspace --doc
    step "Running the commands of the documents"
    offline scripts/docs-test.sh
fi
