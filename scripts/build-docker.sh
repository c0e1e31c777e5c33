#!/usr/bin/env bash
# Builds the images of the services, and of what they stand on, with Nix, and loads them into Docker
# (or Podman) with the version as their tag. Arguments: outputs of the flake, in place of all.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

has nix || die "the images are built by Nix, which isn't here: see https://nixos.org/download, and then this again. Without, 'make up' starts the platform from programs."
[ "$(uname -s)" = Linux ] || die "the images are for Linux, and are built on Linux: this is $(uname -s)."
engine=""
for program in docker podman; do
    if [ -z "$engine" ] && has "$program"; then engine=$program; fi
done
[ -n "$engine" ] || die "neither docker nor podman is here, to load the images into. 'nix build .#images' makes them as files."

[ $# -gt 0 ] || set -- images part-images
for output in "$@"; do
    step "Building .#$output"
    folder=$(nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths ".#$output")
    for image in "$folder"/*.tar.gz; do
        say "$engine load of $(basename "$image") ($(du -hL "$image" | cut -f1))"
        "$engine" load --input "$image"
    done
done
