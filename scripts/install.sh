#!/bin/sh
# Installs speakr's program from its releases, for one user, after its checksum was verified. Again: upgrades.
#
#   install.sh [--version VERSION] [--prefix FOLDER] [--uninstall]
#
# FOLDER is ~/.local: the program goes to bin/, its manual and completions to share/. VERSION is the newest
# release where it isn't named. --uninstall takes away what was installed; recordings stay.
#
# Where releases are: SPEAKR_REPOSITORY (owner/name on GitHub), or SPEAKR_RELEASES, a URL with the same files
# (URL/latest/download/FILE and URL/download/vVERSION/FILE). Where cosign is here, the signature of the
# checksums is verified too; SPEAKR_NEED_SIGNATURE=1 makes a missing cosign an error.
set -eu

# The release workflow writes its repository here.
repository=${SPEAKR_REPOSITORY:-@REPOSITORY@}

say() { printf '%s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
    version=""
    prefix=${SPEAKR_PREFIX:-$HOME/.local}
    uninstall=""
    while [ $# -gt 0 ]; do
        case $1 in
        --version) version=${2:?--version wants a value} && shift ;;
        --prefix) prefix=${2:?--prefix wants a folder} && shift ;;
        --uninstall) uninstall=1 ;;
        -h | --help)
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        *) die "install.sh takes --version VERSION, --prefix FOLDER and --uninstall, not \"$1\"." ;;
        esac
        shift
    done
    version=${version#v}
    # What was installed, a path a line.
    receipt=$prefix/share/speakr-program/installed
    if [ -n "$uninstall" ]; then
        take_away
        return
    fi
    find_releases
    target=$(target_of_this_machine)
    work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    fetch_checksums
    fetch_archive
    install_files
}

find_releases() {
    releases=${SPEAKR_RELEASES:-}
    if [ -z "$releases" ]; then
        case $repository in
        @*) die "which repository the releases are of isn't said: set SPEAKR_REPOSITORY=owner/name. (The install.sh of a release knows its own.)" ;;
        */*) releases=https://github.com/$repository/releases ;;
        *) die "SPEAKR_REPOSITORY is \"$repository\", and should be owner/name." ;;
        esac
    fi
    if [ -n "$version" ]; then from=$releases/download/v$version; else from=$releases/latest/download; fi
}

# Which of the named features of a processor this one lacks, as Linux names them. None where Linux names none: the program
# looks itself before it uses one.
lacks() {
    features=" $(sed -n '/^flags[[:space:]]*:/{s/^[^:]*://;p;q;}' /proc/cpuinfo 2>/dev/null || :) "
    for feature in "$@"; do
        case $features in "  " | *" $feature "*) ;; *) printf ' %s' "$feature" ;; esac
    done
}

target_of_this_machine() {
    system=$(uname -s)
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) die "there is no release for $machine: build it from the source (README.md)." ;;
    esac
    case $system in
    Linux)
        build=linux-musl
        if [ "$machine" = x86_64 ]; then
            missing=$(lacks sse4_2)
            [ -z "$missing" ] || die "this processor lacks$missing, which all releases for x86-64 need. Build it from the source (README.md)."
            # What crates/adapters/whisper/src/cpu.rs looks for.
            missing=$(lacks avx avx2 fma f16c bmi2)
            if [ -n "$missing" ]; then
                say "This processor lacks$missing: taking the build for older ones, which is slower."
                build=linux-musl-baseline
            fi
        fi
        echo "$machine-$build"
        ;;
    Darwin) echo "$machine-darwin" ;;
    *) die "this script installs on Linux and macOS; this is $system. For Windows there is install.ps1." ;;
    esac
}

# fetch URL FILE
fetch() {
    if has curl; then
        case $1 in https://*) only="--proto =https --tlsv1.2" ;; *) only="" ;; esac
        # shellcheck disable=SC2086  # options
        curl $only --fail --location --silent --show-error --retry 3 --connect-timeout 20 --output "$2" "$1"
    elif has wget; then
        wget --quiet --tries=3 --output-document="$2" "$1"
    else
        die "neither curl nor wget is here to download with."
    fi
}

sha256_of() {
    if has sha256sum; then
        sha256sum "$1" | cut -d' ' -f1
    elif has shasum; then
        shasum -a 256 "$1" | cut -d' ' -f1
    elif has openssl; then
        openssl dgst -sha256 -r "$1" | cut -d' ' -f1
    else
        die "there is no sha256sum, shasum or openssl here, and a download that can't be verified isn't installed."
    fi
}

fetch_checksums() {
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS" ||
        die "$from/SHA256SUMS can't be downloaded. Is there a release${version:+ $version}, and a network?"
    if has cosign && [ -z "${SPEAKR_RELEASES:-}" ]; then
        fetch "$from/SHA256SUMS.sigstore.json" "$work/bundle" || die "the release has no signature (SHA256SUMS.sigstore.json)."
        cosign verify-blob --bundle "$work/bundle" \
            --certificate-oidc-issuer https://token.actions.githubusercontent.com \
            --certificate-identity-regexp "^https://github.com/$repository/\.github/workflows/release\.yml@refs/tags/v" \
            "$work/SHA256SUMS" >/dev/null 2>&1 || die "the signature of SHA256SUMS isn't that of $repository's release workflow. Nothing was installed."
        say "The signature is that of $repository's release workflow."
    elif [ -n "${SPEAKR_NEED_SIGNATURE:-}" ]; then
        die "the signature can't be verified: cosign isn't here, or SPEAKR_RELEASES names another place."
    fi
    # "HASH  FILE": there is one archive for a system.
    line=$(grep -E "^[0-9a-f]{64}  speakr-[0-9A-Za-z.-]+-$target\.tar\.gz\$" "$work/SHA256SUMS" | head -n 1) || line=""
    [ -n "$line" ] || die "the release has no archive for $target."
    wanted=${line%%  *}
    archive=${line#*  }
    found=${archive#speakr-}
    found=${found%"-$target.tar.gz"}
    if [ -n "$version" ] && [ "$found" != "$version" ]; then die "$from has version $found and not $version."; fi
    version=$found
}

fetch_archive() {
    say "Downloading speakr $version for $target …"
    fetch "$from/$archive" "$work/$archive" || die "$from/$archive can't be downloaded."
    got=$(sha256_of "$work/$archive")
    [ "$got" = "$wanted" ] || die "$archive isn't what SHA256SUMS says: it should be
  $wanted
and is
  $got
The download is broken, or somebody has changed it. Nothing was installed."
    tar -xzf "$work/$archive" -C "$work" || die "$archive can't be unpacked."
    folder=$work/speakr-$version-$target
    [ -f "$folder/speakr" ] || die "$archive has no speakr in it."
    told=$("$folder/speakr" --version) || die "speakr $version doesn't start on this machine. Nothing was installed."
    [ "$told" = "speakr $version" ] || die "the program in $archive is \"$told\"."
}

# put FILE TARGET MODE: complete or not at all, also over a program that runs.
put() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new$$"
    chmod "$3" "$2.new$$"
    mv -f "$2.new$$" "$2"
    printf '%s\n' "$2" >>"$work/installed"
}

install_files() {
    mkdir -p "$prefix/bin" || die "$prefix/bin can't be made: name another folder with --prefix."
    [ -w "$prefix/bin" ] || die "$prefix/bin can't be written: name another folder with --prefix."
    : >"$work/installed"
    for page in "$folder"/man/*.1; do put "$page" "$prefix/share/man/man1/${page##*/}" 644; done
    put "$folder/completions/speakr.bash" "$prefix/share/bash-completion/completions/speakr" 644
    put "$folder/completions/_speakr" "$prefix/share/zsh/site-functions/_speakr" 644
    put "$folder/completions/speakr.fish" "$prefix/share/fish/vendor_completions.d/speakr.fish" 644
    for file in "$folder"/licences/* "$folder"/LICENSE-*; do put "$file" "$prefix/share/doc/speakr/${file##*/}" 644; done
    put "$folder/speakr" "$prefix/bin/speakr" 755
    # What the version before had and this one hasn't.
    if [ -f "$receipt" ]; then
        while IFS= read -r old; do
            case $old in "$prefix"/*) grep -qxF "$old" "$work/installed" || rm -f "$old" ;; esac
        done <"$receipt"
    fi
    mkdir -p "$(dirname "$receipt")"
    cp "$work/installed" "$receipt"
    say "Installed speakr $version as $prefix/bin/speakr."
    case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) say "$prefix/bin isn't on your search path yet. For that:
  echo 'export PATH=\"$prefix/bin:\$PATH\"' >> ~/.profile     (zsh: ~/.zprofile), and log in again" ;;
    esac
    say "'speakr doctor' tells what else it needs (ffmpeg; on Linux xclip or wl-clipboard)."
}

take_away() {
    [ -f "$receipt" ] || die "there is no list of what was installed ($receipt): was it to another --prefix?"
    while IFS= read -r old; do
        # Nothing outside, whatever the list says.
        case $old in *..*) ;; "$prefix"/*) rm -f "$old" ;; esac
    done <"$receipt"
    rm -f "$receipt"
    rmdir "$prefix/share/speakr-program" "$prefix/share/doc/speakr" 2>/dev/null || true
    say "speakr is taken away from $prefix. Recordings stay where 'speakr doctor' said (~/.local/share/speakr; macOS:
~/Library/Application Support/speakr): remove that folder to delete them."
}

# Only when all of it has arrived: a script that is cut off in a pipe does nothing.
main "$@"
