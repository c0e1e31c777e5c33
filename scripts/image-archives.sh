#!/usr/bin/env bash
# Builds the images of the services, and of what they stand on, with Nix, as files that any registry's tools read.
#
#   scripts/image-archives.sh FOLDER
#
# FOLDER gets speakr-NAME.tar (docker-archive) for each; nothing is loaded and nothing pushed.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder=${1:?image-archives.sh takes a FOLDER}
has nix || die "the images are built by Nix, which isn't here: see https://nixos.org/download, and then this again."
mkdir -p "$folder"
for output in images part-images; do
    step "Building .#$output"
    built=$(nix --extra-experimental-features "nix-command flakes" build --no-link --print-out-paths ".#$output")
    for image in "$built"/*.tar.gz; do
        name=speakr-$(basename "$image" .tar.gz)
        gzip -dc "$image" >"$folder/$name.tar.part"
        mv "$folder/$name.tar.part" "$folder/$name.tar"
        say "  $name.tar ($(du -h "$folder/$name.tar" | cut -f1))"
    done
done
