#!/usr/bin/env bash
# Rehearses releases: a good tag goes through from tag to validated deployment, and again; then each planted fault has to stop a
# release with nothing half-published and what served before serving.
#
#   scripts/release-test.sh [install] [faults] [cluster] [act] [--table]
#
# install   scripts/install.sh against good and changed archives
# faults    what stops a release before it is deployed
# cluster   … and from the deployment on, with the real programs on a real kubelet: root, and SPEAKR_K8S_RIG as for
#           scripts/k8s-test.sh
# act       the workflow file itself, run by act
#
# The scripts and the tools are the real ones (syft, grype, cargo-audit, cosign, crane, gh, kubectl); stand-ins take the place of GitHub, AWS,
# Nix, Docker and a Mac (scripts/release/stand-ins). The programs are those of target/debug (SPEAKR_PROGRAMS). --table writes the table of
# docs/release.md anew. Says at the end what it could not run. Building cosign and grype takes 15 minutes the first time.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parts=""
table=""
for word in "$@"; do
    case $word in
    install | faults | cluster | act) parts="$parts $word" ;;
    --table) table=--table ;;
    *) die "release-test.sh takes install, faults, cluster, act and --table, not \"$word\"." ;;
    esac
done
parts=${parts:- install faults cluster act}
wanted() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac }
failed=""
not_run=""
part() {
    local name=$1
    shift
    step "Part: $name"
    "$@" || failed="$failed $name"
}

[ "$(uname -s)" = Linux ] || die "releases are rehearsed on Linux; this is $(uname -s)."
programs=${SPEAKR_PROGRAMS:-$TARGET_DIR/debug}
for program in speakr speakr-transcriber speakr-embedder speakr-query-svc speakr-validate; do
    [ -x "$programs/$program" ] || die "there is no $program in $programs: 'cargo build --workspace --bins' makes it."
done
export SPEAKR_PROGRAMS=$programs
scripts/setup.sh k8s
if wanted install; then part install scripts/release/install-test.sh; fi
# The tools of a release, of which some take minutes to build: only for the parts that use them.
if wanted faults || wanted cluster || wanted act; then
    for tool in nats postgres s3 crane syft grype cosign audit gh act; do
        folder=$(scripts/tools.sh "$tool") || die "$tool can't be had, and a release is made with it."
        PATH=$folder:$PATH
    done
    PATH=$ROOT/scripts/release/stand-ins:$PATH
    export PATH
fi

rig=${SPEAKR_K8S_RIG:-}
if ! wanted faults && ! wanted cluster && ! wanted act; then
    :
elif [ "$(id -u)" != 0 ]; then
    not_run="$not_run
  faults, cluster, act: containers are started without an engine, which takes root."
elif [ -n "$rig" ] && has containerd && { wanted cluster || wanted act; }; then
    PATH=$rig/bin:$PATH
    mkdir -p "$TARGET_DIR"
    run=$(mktemp -d "$TARGET_DIR/release-run.XXXXXX")
    export RIG_RUN=$run/rig
    if "$rig/scripts/k8s-up" node >&2; then
        export SPEAKR_VOLUMES=/tmp/hostpath_pv
        # shellcheck disable=SC2086  # lists of words
        part rehearsal "$rig/scripts/k8s-exec" -m "$ROOT/scripts/release/rehearse.sh" $parts $table
    else
        failed="$failed cluster"
    fi
    "$rig/scripts/k8s-down" >&2 || true
    rm -rf "$run"
else
    if wanted cluster || wanted act; then
        not_run="$not_run
  cluster, act: there is no Kubernetes to deploy to (SPEAKR_K8S_RIG, root and containerd)."
    fi
    # In a network of its own: ports of services are fixed.
    # shellcheck disable=SC2016,SC2086  # the inner shell expands it; an option or nothing
    if wanted faults; then part rehearsal unshare --net bash -c 'ip link set lo up && exec "$@"' alone "$ROOT/scripts/release/rehearse.sh" faults $table; fi
fi

say ""
if [ -n "$not_run" ]; then say "Not run:$not_run"; fi
[ -z "$failed" ] || die "failed:$failed"
say "release-test: all that was run passed."
