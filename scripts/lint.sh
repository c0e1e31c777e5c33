#!/usr/bin/env bash
# Every check that reads the code without running it. Goes through all of them, then fails if any
# did; the last lines say which, and what could not be run.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

failed=""
not_run=""

check() {
    local name=$1
    shift
    step "$name"
    "$@" || failed="$failed $name;"
}

# Advisories need a copy of RustSec's database, which cargo-deny keeps in CARGO_HOME. It is not
# fetched here: the lint neither needs nor waits for a network.
has_advisory_db() {
    find "${CARGO_HOME:-$HOME/.cargo}/advisory-db" "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" \
        -name 'RUSTSEC-*.md' -print 2>/dev/null | head -n 1 | grep -q .
}

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet; }

need_rust
scripts/setup.sh build
deny_bin=$(scripts/tools.sh deny)
shellcheck_bin=$(scripts/tools.sh shellcheck)
typos_bin=$(scripts/tools.sh typos)

check "rustfmt" cargo fmt --all --check
# shellcheck disable=SC2086  # LOCKED is an option or nothing
check "clippy" cargo clippy $LOCKED --workspace --all-targets --quiet -- -D warnings
# The same without models in the program: such a build takes them from disk.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
check "clippy without bundled models" cargo clippy $LOCKED --workspace --no-default-features \
    --quiet -- -D warnings
check "documentation" docs
# cargo-deny looks at the crates of every system that speakr is built for.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo fetch $LOCKED --quiet || say "Not every crate could be fetched; the next check may fail for that."
check "licences, bans and sources of dependencies" \
    "$deny_bin/cargo-deny" --offline check licenses bans sources
if has_advisory_db; then
    check "advisories" "$deny_bin/cargo-deny" --offline check advisories
else
    not_run="advisories (there is no copy of RustSec's database here; 'cargo deny fetch' gets it)"
fi
check "shell scripts" "$shellcheck_bin/shellcheck" --external-sources scripts/*.sh scripts/*/*.sh nix/*.sh .ci/run
check "spelling" "$typos_bin/typos" --format brief
check "the checks of the documents" python3 -m unittest discover --start-directory scripts/docs --quiet
check "links, paths and names in the documents" scripts/check-links.sh
check "form of the plan" scripts/plan-evidence.sh --form

if [ -n "$not_run" ]; then say "Not run: $not_run."; fi
[ -z "$failed" ] || die "failed:${failed%;}."
say "Lint is clean."
