#!/usr/bin/env bash
# scripts/install.sh against releases that a server on this machine has: good ones, and ones that somebody has
# changed. Every shell that is here runs it.
#
#   scripts/release/install-test.sh [PROGRAM]
#
# PROGRAM is a speakr that runs here (target/debug/speakr, or SPEAKR_PROGRAMS).

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"

program=${1:-${SPEAKR_PROGRAMS:-$TARGET_DIR/debug}/speakr}
[ -x "$program" ] || die "there is no program $program: 'cargo build --workspace --bins' makes it."
work=$(mktemp -d "${TMPDIR:-/tmp}/speakr-install-test.XXXXXX")
server=""
leave() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap leave EXIT
version=$("$program" --version | cut -d' ' -f2)
case $(uname -s)-$(uname -m) in
Linux-x86_64) target=x86_64-linux-musl ;;
Linux-aarch64) target=aarch64-linux-musl ;;
Darwin-arm64) target=aarch64-darwin ;;
Darwin-x86_64) target=x86_64-darwin ;;
*) die "install.sh knows no $(uname -s) on $(uname -m)." ;;
esac

step "Releases on a server of this machine"
# The program itself takes seconds to pack and to unpack, so it is installed once, and by the first shell alone; what
# the other cases install calls it.
cp "$program" "$work/whole"
if has strip; then strip "$work/whole"; fi
printf '#!/bin/sh\nexec "%s" "$@"\n' "$work/whole" >"$work/speakr"
chmod 755 "$work/speakr"
# As Nix collects them.
mkdir "$work/notices"
for name in musl mingw-w64 mcfgthread; do echo "The licence of $name." >"$work/notices/$name.txt"; done
SPEAKR_DIST=$work/dist .github/scripts/package-cli.sh "$target" "$work/speakr" "$work/speakr" "$work/notices" >/dev/null
SPEAKR_DIST=$work/dist-whole .github/scripts/package-cli.sh "$target" "$work/whole" >/dev/null
archive=speakr-$version-$target.tar.gz
sums() { (cd "$1" && { sha256sum ./*.tar.gz 2>/dev/null || shasum -a 256 ./*.tar.gz; } | sed 's#  \./#  #' >SHA256SUMS); }
# release NAME: a folder of releases that has the good one as its latest.
release() {
    local latest=$work/www/$1/latest/download
    mkdir -p "$latest" "$work/www/$1/download"
    cp "$work/dist/cli/$archive" "$latest/"
    sums "$latest"
    ln -s ../latest/download "$work/www/$1/download/v$version"
}
for name in good tampered truncated unlisted missing; do release "$name"; done
# What licences are looked for: of a crate, and of what compilers add.
inside=(whisper "Rust's standard library")
case $target in *-musl) inside+=(musl libstdc++) ;; esac
# One more build, for older processors, and descriptions of some: of this age, an older one, one that no release is for, one
# of which nothing is told.
older=$target-baseline
if [ "$target" = x86_64-linux-musl ]; then
    SPEAKR_DIST=$work/dist .github/scripts/package-cli.sh "$older" "$work/speakr" "$work/speakr" "$work/notices" >/dev/null
    release both
    cp "$work/dist/cli/speakr-$version-$older.tar.gz" "$work/www/both/latest/download/"
    sums "$work/www/both/latest/download"
    printf 'flags\t\t: fpu sse4_2 avx avx2 fma f16c bmi2 rdseed\n' >"$work/new.cpu"
    printf 'flags\t\t: fpu sse4_2 avx f16c rdseed\nflags\t\t: fpu avx2\n' >"$work/old.cpu"
    printf 'flags\t\t: fpu sse sse2 ssse3\n' >"$work/ancient.cpu"
    printf 'model name\t: unknown\n' >"$work/silent.cpu"
    for name in new old ancient silent absent; do sed "s#/proc/cpuinfo#$work/$name.cpu#" scripts/install.sh >"$work/install-$name.sh"; done
fi
printf 'x' | dd of="$work/www/tampered/latest/download/$archive" bs=1 seek=2000 conv=notrunc 2>/dev/null
head -c 10000 "$work/dist/cli/$archive" >"$work/www/truncated/latest/download/$archive"
sed 's/-linux-musl/-plan9/; s/-darwin/-plan9/' "$work/www/good/latest/download/SHA256SUMS" >"$work/www/unlisted/latest/download/SHA256SUMS"
rm "$work/www/missing/latest/download/$archive"
mkdir -p "$work/www/whole/latest/download"
cp "$work/dist-whole/cli/$archive" "$work/www/whole/latest/download/"
sums "$work/www/whole/latest/download"
# A program that isn't of the version that it is said to be of.
mkdir -p "$work/other/speakr-9.9.9-$target" "$work/www/other/latest/download"
tar -xzf "$work/dist/cli/$archive" -C "$work/other/speakr-9.9.9-$target" --strip-components=1
tar -czf "$work/www/other/latest/download/speakr-9.9.9-$target.tar.gz" -C "$work/other" "speakr-9.9.9-$target"
sums "$work/www/other/latest/download"
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/www" 0 >"$work/server.log" 2>&1 </dev/null &
server=$!
for _ in $(seq 100); do
    port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/server.log" | sed -n 1p)
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || die "no server starts: $(cat "$work/server.log")"

# install RELEASE [OPTIONS…]; by SCRIPT, where it is set.
install() { env -u SPEAKR_NEED_SIGNATURE HOME="$work/home" SPEAKR_RELEASES="http://127.0.0.1:$port/$1" "$shell" "${SCRIPT:-scripts/install.sh}" --prefix "$work/prefix" "${@:2}"; }
# says PATTERN COMMAND…: it succeeds, and says that.
says() {
    local said
    said=$("${@:2}" 2>&1) || { printf '%s\n' "$said"; return 1; }
    grep -Eq -- "$1" <<<"$said" || { printf '%s\n' "$said"; return 1; }
}
nothing_there() { [ ! -e "$work/prefix/bin/speakr" ] && [ -z "$(find "$work/prefix" -type f 2>/dev/null)" ]; }
digest_of() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -d' ' -f1; }

shells=""
for shell in dash bash busybox zsh; do if has "$shell"; then shells="$shells $shell"; fi; done
for it in $shells; do
    step "In $it"
    shell=$it
    if [ "$it" = busybox ]; then
        printf '#!/bin/sh\nexec busybox sh "$@"\n' >"$work/busybox-sh" && chmod +x "$work/busybox-sh"
        shell=$work/busybox-sh
    fi
    rm -rf "$work/prefix"
    refused "$it: a changed archive is refused" "isn't what SHA256SUMS says" install tampered
    check "$it: … and nothing of it is installed" nothing_there
    refused "$it: a cut-off archive is refused" "isn't what SHA256SUMS says" install truncated
    refused "$it: a release without this system is refused" "has no archive for $target" install unlisted
    refused "$it: an archive that isn't there is said so" "can't be downloaded" install missing
    refused "$it: another version's program is refused" "the program in speakr-9.9.9" install other
    refused "$it: a version that isn't there is said so" "Is there a release 0.0.9" install good --version 0.0.9
    check "$it: still nothing is installed" nothing_there
    check "$it: the good one is installed" install good
    equal "$it: it runs" "speakr $version" "$("$work/prefix/bin/speakr" --version)"
    equal "$it: it is what was packed" "$(digest_of "$work/speakr")" "$(digest_of "$work/prefix/bin/speakr")"
    check "$it: with its manual" test -s "$work/prefix/share/man/man1/speakr.1"
    for what in "${inside[@]}"; do
        check "$it: and the licence of $what, which is in it" grep -q "$what.*\](.*\.\(txt\|html\))" "$work/prefix/share/doc/speakr/THIRD-PARTY.md"
    done
    # An upgrade over one that runs, from which something went.
    touch "$work/prefix/share/man/man1/speakr-gone.1"
    printf '%s\n' "$work/prefix/share/man/man1/speakr-gone.1" "$work/stays" >>"$work/prefix/share/speakr-program/installed"
    touch "$work/stays"
    check "$it: an upgrade, named by its version" install good --version "v$version"
    check "$it: … takes away what is no more" test ! -e "$work/prefix/share/man/man1/speakr-gone.1"
    refused "$it: a changed upgrade is refused" "isn't what SHA256SUMS says" install tampered
    equal "$it: … and what was there still runs" "speakr $version" "$("$work/prefix/bin/speakr" --version)"
    printf '%s\n' "$work/stays" >>"$work/prefix/share/speakr-program/installed"
    check "$it: it is taken away again" install good --uninstall
    check "$it: … all of it" nothing_there
    check "$it: … and nothing outside its folder" test -e "$work/stays"
    if [ "$target" = x86_64-linux-musl ]; then
        SCRIPT=$work/install-new.sh check "$it: a processor of this age gets the build for it" says "for $target …" install both
        SCRIPT=$work/install-silent.sh check "$it: … and so does one of which nothing is told" says "for $target …" install both
        SCRIPT=$work/install-absent.sh check "$it: … and where Linux tells of no processor" says "for $target …" install both
        SCRIPT=$work/install-old.sh check "$it: an older one is told what it lacks" says "This processor lacks avx2 fma bmi2: taking the build for older ones" install both
        SCRIPT=$work/install-old.sh check "$it: … gets the build for older ones" says "for $older …" install both
        equal "$it: … which runs" "speakr $version" "$("$work/prefix/bin/speakr" --version)"
        SCRIPT=$work/install-old.sh refused "$it: … and no other in its place" "has no archive for $older" install good
        SCRIPT=$work/install-ancient.sh refused "$it: one that no release is for is told so" "lacks sse4_2, which all releases" install both
        check "$it: that is taken away again" install both --uninstall
    fi
done
step "The program itself"
shell="sh"
rm -rf "$work/prefix"
check "it is installed" install whole
equal "it is what was packed" "$(digest_of "$work/whole")" "$(digest_of "$work/prefix/bin/speakr")"
check "it hears what is said" sh -c "'$work/prefix/bin/speakr' transcribe --no-save '$ROOT/assets/speech/jfk.wav' | grep -ci country >/dev/null"
check "it is taken away again" install whole --uninstall
step "The same list of features in all places that have one"
# What the engine wants by its build's variables, less what the build for older processors does without.
wanted=$(sed -nE 's/^ *"(GGML_[A-Z0-9]+)", "[^"]+", "([^"]+)";$/\1 \2/p' crates/adapters/whisper/src/cpu.rs | tr . _)
of_older=$(sed -n '/speakr-baseline = /,/};/s/.*lib.genAttrs \[\(.*\)\].*/\1/p' nix/workspace.nix | tr -d '"')
given_up=$(for variable in $of_older; do sed -n "s/^$variable //p" <<<"$wanted"; done | tr '\n' ' ')
kept=$(while read -r variable feature; do case " $of_older " in *" $variable "*) ;; *) printf '%s ' "$feature" ;; esac; done <<<"$wanted")
equal "what install.sh looks for, to choose" "${given_up% }" "$(sed -n 's/.*missing=[$](lacks \(avx.*\))$/\1/p' scripts/install.sh)"
equal "… and to refuse" "${kept% }" "$(sed -n 's/.*missing=[$](lacks \(sse.*\))$/\1/p' scripts/install.sh)"
step "What it says without a place to download from"
refused "no repository" "SPEAKR_REPOSITORY" env -u SPEAKR_RELEASES HOME="$work/home" sh scripts/install.sh
refused "a signature that is wanted and can't be verified" "the signature can't be verified" env HOME="$work/home" SPEAKR_NEED_SIGNATURE=1 \
    SPEAKR_RELEASES="http://127.0.0.1:$port/good" sh scripts/install.sh --prefix "$work/prefix"
cut_off() { head -c 3000 scripts/install.sh | env HOME="$work/home" SPEAKR_RELEASES="http://127.0.0.1:$port/good" sh -s -- --prefix "$work/prefix"; }
cut_off >/dev/null 2>&1 || true
check "a script that is cut off in a pipe does nothing" nothing_there
step "The same archive twice"
first=$(digest_of "$work/dist/cli/$archive")
SPEAKR_DIST=$work/dist2 .github/scripts/package-cli.sh "$target" "$work/speakr" "$work/speakr" "$work/notices" >/dev/null
equal "has the same bytes" "$first" "$(digest_of "$work/dist2/cli/$archive")"

tell_checks "install.sh"
