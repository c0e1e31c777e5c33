# shellcheck shell=bash
# shellcheck disable=SC2034  # some of it is for who reads this file
# What the steps of a release share. Each step is a script of this folder: it can be run by hand, it can be
# run again after it failed half-way, and the workflows do nothing but call it.
#
# Steps hand on what they made in the folder SPEAKR_DIST (target/dist):
#   images/NAME.tar          an image as a file        digests.tsv   NAME <tab> digest of each pushed image
#   sbom/NAME.cdx.json       what is in it             images.env    NAME=registry/NAME@sha256:… to deploy
#   cli/                     archives of the program   reports/      what scans and deployments said

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

DIST=${SPEAKR_DIST:-$TARGET_DIR/dist}
mkdir -p "$DIST"
DIST=$(cd "$DIST" && pwd)

# The comment at the head of a script is its help.
usage_of() { sed -n '2,/^[^#]/{/^# \{0,1\}shellcheck/d;s/^# \{0,1\}//p;}' "$1"; }
help_if_asked() {
    case ${1:-} in
    -h | --help)
        usage_of "$0"
        exit 0
        ;;
    esac
}

need() {
    local tool
    for tool in "$@"; do
        has "$tool" || die "$tool isn't here, and ${0##*/} needs it: .github/scripts/tools.sh $tool gets it."
    done
}

# Tries a command of the network three times, with a pause that grows.
again() {
    local try
    for try in 1 2 3; do
        "$@" && return
        [ "$try" = 3 ] || { say "  that failed (try $try of 3); again in $((try * ${SPEAKR_RETRY_PAUSE:-5})) s"; sleep "$((try * ${SPEAKR_RETRY_PAUSE:-5}))"; }
    done
    return 1
}

# A value for later steps of the job, and for people who run the script by hand.
output() {
    if [ -n "${GITHUB_OUTPUT:-}" ]; then printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; fi
    printf '%s=%s\n' "$1" "$2"
}
# Variables and folders of the search path that hold for the later steps of a job.
export_later() {
    if [ -n "${GITHUB_ENV:-}" ]; then printf '%s=%s\n' "$1" "$2" >>"$GITHUB_ENV"; else say "export $1='$2'"; fi
}
path_later() {
    PATH=$1:$PATH
    if [ -n "${GITHUB_PATH:-}" ]; then printf '%s\n' "$1" >>"$GITHUB_PATH"; else say "export PATH='$1':\"\$PATH\""; fi
}
# Lines on the page of the run.
summary() { if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then printf '%s\n' "$@" >>"$GITHUB_STEP_SUMMARY"; fi; }

# The version that the workspace has; every part of it has the same.
# "vMAJOR.MINOR.PATCH", with or without "-rc.1" or the like (semver.org, without build metadata, which a
# tag of an image can't hold).
is_version_tag() {
    grep -Eq '^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$' <<<"$1"
}
is_prerelease() { case $1 in *-*) ;; *) return 1 ;; esac }
# What an image may be tagged with here: a version, or a build of main.
need_tag() {
    is_version_tag "$1" || grep -Eq '^main-[0-9a-f]{7,40}$' <<<"$1" ||
        die "\"$1\" is neither a version (v1.2.3) nor a build of main (main-COMMIT)."
}

# Registries, the first being the one that clusters pull from: prefixes like ghcr.io/owner, with spaces
# between.
need_registries() {
    [ -n "${SPEAKR_REGISTRIES:-}" ] ||
        die "where to push isn't said: set SPEAKR_REGISTRIES, as in \"ghcr.io/owner 111122223333.dkr.ecr.eu-central-1.amazonaws.com\"."
    # shellcheck disable=SC2206  # a list of words
    REGISTRIES=(${SPEAKR_REGISTRIES})
}

# What the command-line program is released for, and the name of the archive for TARGET.
CLI_TARGETS="x86_64-linux-musl x86_64-linux-musl-baseline aarch64-linux-musl x86_64-windows x86_64-darwin aarch64-darwin"
archive_of() { # VERSION TARGET
    case $2 in *-windows) echo "speakr-$1-$2.zip" ;; *) echo "speakr-$1-$2.tar.gz" ;; esac
}

# Names of the images that were built.
built_images() {
    local file found=""
    for file in "$DIST"/images/*.tar; do
        [ -e "$file" ] || continue
        found=1
        basename "$file" .tar
    done
    [ -n "$found" ] || die "there is no image in $DIST/images: .github/scripts/build-images.sh makes them."
}
# Names and digests of the images that were pushed.
pushed_images() {
    [ -s "$DIST/digests.tsv" ] || die "there is no list of pushed images ($DIST/digests.tsv): .github/scripts/push-images.sh makes it."
    cat "$DIST/digests.tsv"
}

# Registries without TLS are for tests on this machine.
insecure_for() { case $1 in 127.0.0.1:* | localhost:*) printf -- '--insecure' ;; esac }
# crane, for the reference $2.
crane_at() {
    local reference=$2 verb=$1
    shift 2
    # shellcheck disable=SC2046  # an option or nothing
    crane "$verb" $(insecure_for "$reference") "$@"
}
# The digest that $1 has in its registry; nothing, and 1, where there is none. A registry that doesn't answer ends
# the script: "it isn't there" and "I can't tell" mean different things.
digest_at() {
    local said
    if said=$(crane_at digest "$1" "$1" 2>&1); then
        printf '%s\n' "$said" | tail -n 1
        return
    fi
    case $said in *MANIFEST_UNKNOWN* | *NAME_UNKNOWN* | *"404 Not Found"* | *"not found"*) return 1 ;; esac
    say "error: whether $1 is there can't be told: $(printf '%s' "$said" | tail -n 1)"
    return 2
}
