#!/usr/bin/env bash
# Prints where a release's parts come from: the predicate of SLSA's provenance, version 1.
#
#   .github/scripts/provenance.sh TAG

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need jq

tag=${1:?provenance.sh takes a TAG}
server=${GITHUB_SERVER_URL:-https://github.com}
repository=${GITHUB_REPOSITORY:-local}
jq -n --arg tag "$tag" --arg source "$server/$repository" --arg ref "${GITHUB_REF:-refs/tags/$tag}" \
    --arg commit "$(git rev-parse HEAD)" --arg workflow "${GITHUB_WORKFLOW_REF:-}" --arg flake "$(git rev-parse HEAD:flake.lock)" \
    --arg builder "${GITHUB_WORKFLOW_REF:+$server/$repository/.github/workflows}" \
    --arg run "${GITHUB_RUN_ID:+$server/$repository/actions/runs/$GITHUB_RUN_ID/attempts/${GITHUB_RUN_ATTEMPT:-1}}" '{
    buildDefinition: {
        buildType: "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
        externalParameters: {workflow: {ref: $ref, repository: $source, path: (if $workflow == "" then ".github/workflows/release.yml" else ($workflow | sub("@.*"; "") | sub("^[^/]*/[^/]*/"; "")) end)}, version: $tag},
        resolvedDependencies: [
            {uri: "git+\($source)@\($ref)", digest: {gitCommit: $commit}},
            {uri: "git+\($source)/flake.lock", digest: {gitBlob: $flake}}]},
    runDetails: {builder: {id: (if $builder == "" then "local" else $builder end)}, metadata: {invocationId: (if $run == "" then "local" else $run end)}}}'
