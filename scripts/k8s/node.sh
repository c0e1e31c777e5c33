#!/usr/bin/env bash
# The platform on a real kubelet: the dev overlay with its data in the cluster becomes ready by its probes,
# speech becomes text and is found, the network lets through what it should and nothing else, and releases
# (good ones and bad ones) go in and out while it is in use.
#
#   scripts/k8s/node.sh [--three]
#
# --three has three servers of the bus, as staging and production have.
# KUBECONFIG names the cluster, as its administrator; from here its Services have to be reached by their
# cluster addresses. SPEAKR_TEST_REGISTRY is a registry that both this machine and its nodes know as such;
# where it isn't set, one is started on 127.0.0.1:5000. SPEAKR_PROGRAMS is the folder of the built programs
# (target/debug); SPEAKR_NETPOL, where the cluster doesn't enforce network policies itself, a program that
# does (SPEAKR_CLUSTER_ENFORCES_POLICIES=1 says that it does); SPEAKR_VOLUMES, where its volumes don't heed
# fsGroup, the folder that they are made in; SPEAKR_SPEECH_MODEL, the absolute path of a larger model (ggml-NAME.bin),
# with which a transcriber is deployed too.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
# shellcheck source=scripts/k8s/checks.sh
. "$ROOT/scripts/k8s/checks.sh"
# shellcheck source=scripts/k8s/node-lib.sh
. "$ROOT/scripts/k8s/node-lib.sh"
# shellcheck source=scripts/k8s/node-load.sh
. "$ROOT/scripts/k8s/node-load.sh"
# shellcheck source=scripts/k8s/node-use.sh
. "$ROOT/scripts/k8s/node-use.sh"
# shellcheck source=scripts/k8s/node-copies.sh
. "$ROOT/scripts/k8s/node-copies.sh"

three=""
if [ "${1:-}" = --three ]; then three=1; fi
: "${KUBECONFIG:?names the cluster}"
programs=${SPEAKR_PROGRAMS:-$TARGET_DIR/debug}
[ -x "$programs/speakr" ] || die "there is no speakr in $programs: 'cargo build --workspace --bins' makes it."
has crane || die "crane isn't here, and brings images to the registry."
start_node_test

step "Images, in a registry"
first_images
second_images
wrong_images
equal "images of the platform" "$images_wanted" "$(wc -l <"$work/images-1.env" | tr -d ' ')"

step "The cluster, as its administrator prepares it"
check "prepare-cluster.sh" scripts/deploy/prepare-cluster.sh dev-in-cluster
check "make-secrets.sh" scripts/deploy/make-secrets.sh dev-in-cluster
refused "what is there is never made anew" "secrets are there already" scripts/deploy/make-secrets.sh dev-in-cluster
start_network_policies

step "A first release, all of it new"
began=$SECONDS
ends_with 0 "deploy puts it in place" deploy --images "$work/images-1.env"
say "  in place after $((SECONDS - began)) s"
tell_said_on_failure
equal "containers that had to be started again" 0 "$(restarts)"
find_addresses

step "Speech becomes text, and is found"
make_token
check "the smoke test, with a token" env SPEAKR_API_URL="$api" SPEAKR_API_TOKEN_FILE="$work/token" scripts/deploy/smoke.sh dev-in-cluster
check "the command-line program, over the bus (TLS)" transcribes "$ROOT/assets/speech/jfk.wav" country
within 60 "… and finds it over the API" finds "what a citizen can do" country
if [ "$with_collector" ]; then
    within 90 "the collector takes what the services tell it" sh -c \
        "kubectl -n speakr logs deploy/speakr-otel-collector --tail=200 | grep -c '\"otelcol.signal\":\"metrics\"\|Metrics' >/dev/null"
else
    not_run collector "SPEAKR_OTELCOL names no OpenTelemetry Collector"
fi

step "What it is, seen from inside"
seen_from_inside

step "Who reaches whom"
if [ "$policies" ]; then
    network_matrix
    ask_as_pods
else
    not_run policies "nothing here enforces network policies (SPEAKR_NETPOL)"
fi

step "A copy of what is under way on the bus"
if has rclone; then streams_copied_as_a_pod; else not_run copies "rclone isn't here, and carries the copies away"; fi

if [ "$three" ]; then
    step "A bus of three"
    bus_of_three
fi

step "A good release, in use"
start_load
start_long_work release 1 60
ends_with 0 "deploy puts release 2 in place" deploy --images "$work/images-2.env"
tell_said_on_failure
check "long sound is still being worked on, by the transcriber that took the other's place" at_work
stop_load "a good release"
long_work_is_done release 1

step "Bad releases, in use"
start_load
bad_release "an image that crashes" "has crashed" query-svc=crash
bad_release "a migration that fails" "job speakr-migrate failed" embedder=wrong
bad_release "an image that can't be pulled" "ErrImagePull|ImagePullBackOff" transcriber=missing
bad_release "an image that is never ready" "made no progress for longer" query-svc=unready
stop_load "four bad ones"

step "A node's pods die while they work"
pods_die_at_work

if [ "${SPEAKR_SPEECH_MODEL:-}" ]; then
    step "A larger model"
    larger_model "$SPEAKR_SPEECH_MODEL"
fi

step "What it takes"
tell_use

tell_checks "The platform on a real kubelet"
