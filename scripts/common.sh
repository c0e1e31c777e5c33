# shellcheck shell=bash
# What every script here shares: where the project is, how to speak, where the tools are.
# Works with the bash 3.2 of macOS.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
# shellcheck disable=SC2034  # for the scripts that read this file
TOOLS_DIR=$TARGET_DIR/tools
# In CI the lock file must be right as it is.
# shellcheck disable=SC2034
LOCKED=${CI:+--locked}
cd "$ROOT"

# Messages go to stderr; results go to stdout.
say() { printf '%s\n' "$*" >&2; }
step() { printf '\n==> %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Whether a test may leave out $1, for which something isn't here. On somebody's machine it may, and says so at its end.
# Where nobody reads the end (a workflow), SPEAKR_MAY_LEAVE_OUT says what may be left out: "none", or names with spaces
# between. Whatever else is left out fails the test.
may_leave_out() {
    [ -n "${SPEAKR_MAY_LEAVE_OUT:-}" ] || return 0
    case " $SPEAKR_MAY_LEAVE_OUT " in *" $1 "*) return 0 ;; esac
    say "error: \"$1\" isn't run, and may not be left out (SPEAKR_MAY_LEAVE_OUT=\"$SPEAKR_MAY_LEAVE_OUT\")."
    return 1
}

# The names of the variables that speakr reads as settings and that are set here, one a line.
own_variables() { env | sed -nE 's/^((SPEAKR|NATS)_[A-Z0-9_]*)=.*/\1/p'; }

# The lowest Rust version that builds the workspace, as its Cargo.toml states it.
wanted_rust() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml"; }

# The version of speakr, as Cargo.toml states it.
workspace_version() {
    awk '/^\[workspace\.package\]/ { inside = 1; next } /^\[/ { inside = 0 }
        inside && /^version = "/ { gsub(/^version = "|"$/, ""); print; exit }' "$ROOT/Cargo.toml"
}

# Whether version $1 is at least version $2 (numbers with dots).
at_least() {
    local have=$1 want=$2 i h w
    for i in 1 2 3; do
        h=$(printf '%s' "$have" | cut -d. -f"$i")
        w=$(printf '%s' "$want" | cut -d. -f"$i")
        if [ "${h:-0}" -gt "${w:-0}" ]; then return 0; fi
        if [ "${h:-0}" -lt "${w:-0}" ]; then return 1; fi
    done
    return 0
}

# Makes sure that there is a Rust toolchain that is new enough. We don't install one: that is the
# developer's own choice, and the one thing that the targets expect.
need_rust() {
    local version
    if ! has cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
    fi
    if ! has cargo || ! has rustc; then
        die "there is no Rust toolchain here. Install one with
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
and run this again."
    fi
    # With rustup, this obtains the toolchain that rust-toolchain.toml names, when it isn't here.
    version=$(rustc --version | sed -n 's/^rustc \([0-9.]*\).*/\1/p') || version=
    [ -n "$version" ] || die "rustc doesn't run; 'rustc --version' tells why."
    if ! at_least "$version" "$(wanted_rust)"; then
        die "speakr needs Rust $(wanted_rust) or newer and this is $version. Without rustup the file
rust-toolchain.toml has no effect: install rustup from https://rustup.rs, or a newer rustc."
    fi
}
