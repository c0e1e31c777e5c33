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
        -name 'RUSTSEC-*.md' -print 2>/dev/null | grep -c . >/dev/null
}

# With "pipefail" what comes before "| grep -q" or "| head" may die of the pipe that they close, and then what was
# found counts as not found. Here-strings, "grep -c … >/dev/null" and "sed -n 1p" read to the end.
whole_pipes() {
    local found
    # shellcheck disable=SC2016  # $0 is awk's
    found=$(git ls-files -z -- '*.sh' .ci/run scripts/release/stand-ins | xargs -0 awk \
        '/[^|]\| *(grep +-[a-zA-Z]*q|head )/ && !/^ *#/ && FILENAME !~ /^scripts\/(install|lint)\.sh$/ { print FILENAME ":" FNR ": " $0 }') || return
    [ -z "$found" ] || {
        printf '%s\n' "$found" >&2
        return 1
    }
}

# As the flake and images build them: without what others of the workspace ask of the same crates. $LOCKED is an option or
# nothing.
# shellcheck disable=SC2086,SC2329
by_themselves() {
    local service
    cargo check $LOCKED --package speakr --quiet || return
    cargo check $LOCKED --package speakr-e2e --quiet --bin speakr-validate --bin speakr-up || return
    for service in speakr-transcriber speakr-embedder speakr-query-svc; do
        cargo check $LOCKED --package "$service" --no-default-features --quiet || return
    done
}

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet; }

need_rust
scripts/setup.sh build
deny_bin=$(scripts/tools.sh deny)
shellcheck_bin=$(scripts/tools.sh shellcheck)
typos_bin=$(scripts/tools.sh typos)
actionlint_bin=$(scripts/tools.sh actionlint)
zizmor_bin=$(scripts/tools.sh zizmor)
nixparse_bin=$(scripts/tools.sh nixparse)
psparse_bin=$(scripts/tools.sh psparse)
deadnix_bin=$(scripts/tools.sh deadnix)
nixfmt_bin=$(scripts/tools.sh nixfmt)

check "rustfmt" cargo fmt --all --check
# shellcheck disable=SC2086  # LOCKED is an option or nothing
check "clippy" cargo clippy $LOCKED --workspace --all-targets --quiet -- -D warnings
# The same without models in the program: such a build takes them from disk.
# shellcheck disable=SC2086  # LOCKED is an option or nothing
check "clippy without bundled models" cargo clippy $LOCKED --workspace --no-default-features \
    --quiet -- -D warnings
check "each program by itself" by_themselves
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
check "shell scripts" "$shellcheck_bin/shellcheck" --external-sources scripts/*.sh scripts/*/*.sh nix/*.sh .ci/run \
    .github/scripts/*.sh scripts/release/stand-ins/*
check "pipes that are read to their end" whole_pipes
# Whether it parses, and no more: there is no PowerShell here that could run it.
check "PowerShell" "$psparse_bin/python" scripts/release/parse_powershell.py scripts/install.ps1 ./*.md docs/*.md
check "steps of a rehearsal, which are the workflow's" python3 scripts/release/same_steps.py
check "workflows" "$actionlint_bin/actionlint" -shellcheck "$shellcheck_bin/shellcheck" -pyflakes ""
# What could be made of them by somebody who means ill; without asking GitHub.
check "safety of workflows" "$zizmor_bin/zizmor" --offline --no-progress --quiet --persona pedantic .github
check "Nix files" "$nixparse_bin/python" scripts/nix/check.py .
check "formatting of Nix files" "$nixfmt_bin/nixfmt" --check flake.nix nix/*.nix
check "dead Nix code" "$deadnix_bin/deadnix" --fail flake.nix nix
if has nix; then
    check "evaluation of the flake" nix --extra-experimental-features "nix-command flakes" flake check --no-build --all-systems
else
    not_run="${not_run:+$not_run; }evaluation and builds of the flake (there is no Nix here; 'nix flake check' does it)"
fi
check "spelling" "$typos_bin/typos" --format brief
check "the checks of the documents" python3 -m unittest discover --start-directory scripts/docs --quiet
check "links, paths and names in the documents" scripts/check-links.sh
check "form of the plan" scripts/plan-evidence.sh --form

if [ -n "$not_run" ]; then say "Not run: $not_run."; fi
[ -z "$failed" ] || die "failed:${failed%;}."
say "Lint is clean."
