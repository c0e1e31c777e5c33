#!/usr/bin/env bash
# The programs of the last release beside those of this checkout: its services on the schema of this one, each of them
# replaced while both command-line programs are in use, and put back at the end. Nothing that was said may be missing.
#
#   scripts/compat-test.sh [REVISION]
#
# REVISION is the last release's tag (the newest that isn't of this commit) where it isn't named; any other does too. Its
# programs are built once, in a checkout of their own below target/compat; SPEAKR_LAST_PROGRAMS names a folder that has
# them already, such as that of a download.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

revision=${1:-$(git tag --list 'v*.*.*' --merged HEAD --no-contains HEAD --sort=-version:refname | sed -n 1p)}
if [ -z "${SPEAKR_LAST_PROGRAMS:-}" ]; then
    if [ -z "$revision" ]; then
        say "Left out: the last release beside this one (there is none yet; 'scripts/compat-test.sh REVISION' takes any commit)"
        exit 0
    fi
    commit=$(git rev-parse --verify --quiet "$revision^{commit}") || die "there is no revision $revision here ('git fetch --tags' gets releases)."
    SPEAKR_LAST_PROGRAMS=$TARGET_DIR/compat/$commit
    if [ ! -x "$SPEAKR_LAST_PROGRAMS/speakr" ]; then
        need_rust
        step "Building the programs of $revision"
        source=$TARGET_DIR/compat/source
        git worktree remove --force "$source" 2>/dev/null || true
        rm -rf "$source"
        git worktree add --quiet --detach "$source" "$commit"
        # shellcheck disable=SC2086  # LOCKED is an option or nothing
        (cd "$source" && CARGO_TARGET_DIR=$TARGET_DIR/compat/build cargo build $LOCKED --workspace --bins)
        mkdir -p "$SPEAKR_LAST_PROGRAMS.new"
        for program in speakr speakr-transcriber speakr-embedder speakr-query-svc; do
            cp "$TARGET_DIR/compat/build/debug/$program" "$SPEAKR_LAST_PROGRAMS.new/"
        done
        mv "$SPEAKR_LAST_PROGRAMS.new" "$SPEAKR_LAST_PROGRAMS"
        git worktree remove --force "$source"
    fi
fi
export SPEAKR_LAST_PROGRAMS
exec scripts/test.sh --run-ignored only -E 'binary(last_release)'
