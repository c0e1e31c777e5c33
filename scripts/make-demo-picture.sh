#!/usr/bin/env bash
# Makes docs/images/demo.gif, the moving picture of the README: a real session of the program that
# "make demo" builds, with a bundled clip as the microphone, recorded as it runs.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

COLUMNS_SHOWN=84
ROWS_SHOWN=20
CAST=$TARGET_DIR/demo.cast
PICTURE=$ROOT/docs/images/demo.gif

# What happens in the picture; asciinema runs this script again with "session".
session() {
    local name
    for name in $(own_variables); do
        [ "$name" = SPEAKR_PICTURE_HOME ] || unset "$name"
    done
    export SPEAKR_HOME=$SPEAKR_PICTURE_HOME SPEAKR_CONFIG=$SPEAKR_PICTURE_HOME/config.toml
    PATH=$TARGET_DIR/debug:$PATH
    # The picture is made where there may be neither microphone nor clipboard: a clip plays the
    # one, and the other is left out.
    printf 'device = "file:%s"\nclipboard = false\n' "$ROOT/assets/speech/jfk.wav" >"$SPEAKR_CONFIG"

    prompt "speakr"
    speakr
    sleep 2
    prompt 'speakr search "citizens must serve their nation"'
    speakr search "citizens must serve their nation"
    sleep 3
}

# Writes a command as somebody would type it.
prompt() {
    local i
    printf '\033[32m$\033[0m '
    for ((i = 0; i < ${#1}; i++)); do
        printf '%s' "${1:i:1}"
        sleep 0.04
    done
    sleep 0.4
    printf '\n'
}

if [ "${1:-}" = session ]; then
    session
    exit
fi

need_rust
scripts/setup.sh demo
bin=$(scripts/tools.sh picture)
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bin speakr
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$(dirname "$PICTURE")"

step "Recording a session"
# One recording is there already, so that the search has something to choose from.
SPEAKR_HOME=$scratch SPEAKR_CONFIG=$scratch/none.toml \
    "$TARGET_DIR/debug/speakr" --local --quiet transcribe "$ROOT"/assets/speech/austen-*.wav >/dev/null
SPEAKR_PICTURE_HOME=$scratch TERM=xterm-256color "$bin/asciinema" rec --quiet --overwrite \
    --cols "$COLUMNS_SHOWN" --rows "$ROWS_SHOWN" --idle-time-limit 2 \
    --command "'$ROOT/scripts/make-demo-picture.sh' session" "$CAST"

step "Drawing it"
"$bin/agg" --theme monokai --font-size 15 --fps-cap 12 --last-frame-duration 4 \
    "$CAST" "$PICTURE" || die "agg could not draw the picture. It needs a monospaced font of the
system, such as Debian's fonts-dejavu-core."
say "Wrote ${PICTURE#"$ROOT"/} ($(($(wc -c <"$PICTURE") / 1024)) KiB)"
