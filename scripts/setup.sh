#!/usr/bin/env bash
# Installs what is missing on this machine, and says what and why before it does.
#
#   scripts/setup.sh build    what building needs
#   scripts/setup.sh demo     … and what running needs
#   scripts/setup.sh test     … and what the tests drive: sound servers, clipboards, a test runner
#   scripts/setup.sh tools    Python's virtual environments, for the ready-made developer tools
#   scripts/setup.sh k8s      what the tests of k8s/ read and ask with
#   scripts/setup.sh validate what the tests of speakr-validate watch a platform with
#
# Does nothing when all is here. Debian and Ubuntu (apt-get, with sudo when not root) and macOS
# (Homebrew); elsewhere it names what is missing.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# level | how to see that it is here | Debian package | Homebrew formula | why
# A formula "-" means that macOS has no need of it (or that Xcode's tools bring it).
NEEDS='
build|has cmake|cmake|cmake|builds the speech engine (whisper.cpp)
build|has c++|g++|-|compiles the speech engine, and links Rust programs
build|has make|make|-|is what cmake drives
demo|has ffmpeg|ffmpeg|ffmpeg|reads sound of any format, and captures the microphone
test|has xclip|xclip|-|the clipboard of X11, for the tests of it
test|has Xvfb|xvfb|-|a display without a screen, for the same tests
test|has wl-copy|wl-clipboard|-|the clipboard of Wayland, for the tests of it
test|has sway|sway|-|a Wayland compositor without a screen, for the same tests
test|has pulseaudio|pulseaudio|-|a virtual microphone, for the tests of recording
test|has pactl|pulseaudio-utils|-|sets the virtual microphone up
test|has arecord|alsa-utils|-|lists the microphones of ALSA, for the tests of that
test|has gnome-keyring-daemon|gnome-keyring|-|a keychain, for the tests of keeping a token
test|has dbus-run-session|dbus-daemon|-|what that keychain is reached by
test|has faketime|faketime|-|makes the clock jump, for the tests of that
test|has ip|iproute2|-|brings the loopback device up where the network is cut off
test|has unshare|util-linux|-|cuts the network off, for the tests of working offline
test|has_venv|python3-venv|python3|holds the ready-made test runner (cargo-nextest)
tools|has_venv|python3-venv|python3|holds the ready-made tools for developers
k8s|has jq|jq|jq|reads what a cluster says
k8s|has curl|curl|-|asks the API
k8s|has openssl|openssl|openssl|makes the certificates of tests
k8s|has strip|binutils|-|makes the programs in images small
k8s|has ffmpeg|ffmpeg|ffmpeg|goes into the images, and makes sound for tests
k8s|has rclone|rclone|rclone|carries copies of the streams away
k8s|has promtool|prometheus|prometheus|runs the tests of the alerts
validate|has prometheus|prometheus|prometheus|watches a platform, for the tests of its alerts
validate|has prometheus-alertmanager|prometheus-alertmanager|-|tells somebody of an alert, for the same tests
'

has_venv() { has python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

wanted_levels() {
    case $1 in
    build) echo build ;;
    demo) echo build demo ;;
    test) echo build demo test ;;
    tools) echo tools ;;
    k8s) echo k8s ;;
    validate) echo validate ;;
    *) die "scripts/setup.sh takes build, demo, test, tools, k8s or validate, not \"$1\"." ;;
    esac
}

main() {
    local levels system packages="" reasons="" level check apt brew why package
    levels=" $(wanted_levels "${1:-build}") "
    system=$(uname -s)
    while IFS='|' read -r level check apt brew why; do
        [ -n "$level" ] || continue
        case $levels in *" $level "*) ;; *) continue ;; esac
        package=$apt
        if [ "$system" = Darwin ]; then
            package=$brew
            if [ "$package" = - ]; then
                if [ "$level" = build ] && ! $check; then
                    die "Xcode's command line tools are missing. Install them with
  xcode-select --install
and run this again."
                fi
                continue
            fi
        fi
        $check && continue
        case " $packages " in *" $package "*) continue ;; esac
        packages="$packages $package"
        reasons="$reasons$(printf '  %-18s %s' "$package" "$why")"$'\n'
    done <<<"$NEEDS"

    [ -n "$packages" ] || return 0
    step "Missing on this machine"
    printf '%s' "$reasons" >&2
    if [ "$system" = Darwin ]; then
        install_with_brew "$packages"
    elif has apt-get; then
        install_with_apt "$packages"
    else
        die "there is no apt-get and no Homebrew here. Install the above with your own package
manager (the names are Debian's) and run this again."
    fi
}

install_with_apt() {
    local as_root=""
    if [ "$(id -u)" != 0 ]; then
        has sudo || die "installing needs root and there is no sudo. As root, run
  apt-get update && apt-get install --no-install-recommends -y$1
and run this again."
        as_root="sudo"
    fi
    step "Installing with apt-get:$1"
    # Another package manager may be at work: wait for it rather than fail.
    local options="-o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
    # shellcheck disable=SC2086  # lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get $options -qq update </dev/null >&2 ||
        say "apt-get update had errors; trying with the package lists that are here."
    # shellcheck disable=SC2086  # lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get $options -qq -y \
        --no-install-recommends install $1 </dev/null >&2 ||
        die "apt-get could not install:$1. Its message is above."
}

install_with_brew() {
    has brew || die "Homebrew is missing. Install it from https://brew.sh and run this again."
    step "Installing with Homebrew:$1"
    # shellcheck disable=SC2086  # a list of words
    HOMEBREW_NO_AUTO_UPDATE=1 brew install $1 </dev/null >&2 ||
        die "Homebrew could not install:$1. Its message is above."
}

main "$@"
