#!/usr/bin/env bash
# Shows what speakr does, from nothing: installs what is missing, builds, transcribes the bundled
# speech, stores it, and finds it by words that were never said. Keeps to a scratch folder.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A question in other words than the speech's own, and words that the right answer has to hold.
# The demo checks both: that no word of the question was spoken, and that the answer came first.
QUERY="citizens must serve their nation"
ANSWER="do for your country"

need_rust
scripts/setup.sh demo

step "Building speakr (the first time takes some minutes)"
# shellcheck disable=SC2086  # LOCKED is an option or nothing
cargo build $LOCKED --workspace --bin speakr
speakr=$TARGET_DIR/debug/speakr

# Only this run's own settings and recordings, whatever the user's are, and no platform.
home=$ROOT/.speakr/demo
rm -rf "$home"
mkdir -p "$home"
: >"$home/demo.toml"
for name in $(own_variables); do unset "$name"; done
export SPEAKR_HOME=$home SPEAKR_CONFIG=$home/demo.toml

show() {
    printf '\n$ speakr' >&2
    printf ' %s' "$@" >&2
    printf '\n' >&2
    "$speakr" "$@"
}

step "Transcribing the bundled speech, offline"
show transcribe --tags demo assets/speech/*.wav

step "What is kept now"
show list

step "Finding it by meaning: \"$QUERY\""
spoken=$("$speakr" list --json | tr '[:upper:]' '[:lower:]')
for word in $QUERY; do
    if grep -qw -- "$word" <<<"$spoken"; then
        die "the question was to share no word with the speech, and \"$word\" was spoken."
    fi
done
say "None of its words was spoken."
show search "$QUERY" --limit 3
first=$("$speakr" search "$QUERY" --limit 1 --json)
case $first in
*"$ANSWER"*) say "The right recording came first." ;;
*) die "the recording that says \"$ANSWER\" did not come first; the search answered: $first" ;;
esac

step "Done. What you can do now"
say "  $speakr               record; Enter stops, and the text is on the clipboard
  $speakr search WORDS  find what you said
  $speakr doctor        see whether microphone and clipboard are ready
  make build-native     build the small, fast release binary
What the demo made is in $home; your own recordings go elsewhere."
