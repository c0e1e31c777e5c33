#!/usr/bin/env python3
"""Makes of an OCI layout (scripts/k8s/make_image.py) what Nix makes: a docker-archive, packed.

    archive.py LAYOUT NAME VERSION OUT.tar.gz [ENTRYPOINT WORDS…]

VERSION becomes its label and its tag; ENTRYPOINT takes the place of what the image starts.
"""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    layout, name, version, out = sys.argv[1:5]

    def blob(digest):
        return os.path.join(layout, "blobs", *digest.split(":"))

    with open(os.path.join(layout, "index.json"), encoding="utf-8") as opened:
        manifest = json.load(opened)["manifests"][0]["digest"]
    with open(blob(manifest), encoding="utf-8") as opened:
        manifest = json.load(opened)
    with open(blob(manifest["config"]["digest"]), encoding="utf-8") as opened:
        config = json.load(opened)
    config["config"].setdefault("Labels", {})["org.opencontainers.image.version"] = version
    if sys.argv[5:]:
        config["config"]["Entrypoint"] = sys.argv[5:]
    data = json.dumps(config, sort_keys=True).encode()
    about = hashlib.sha256(data).hexdigest() + ".json"
    layers = [(layer["digest"].split(":")[1] + "/layer.tar", blob(layer["digest"])) for layer in manifest["layers"]]

    with open(out, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        def add(name, stream, size):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = size, 1
            archive.addfile(info, stream)

        for inside, path in layers:
            with open(path, "rb") as layer:
                add(inside, layer, os.path.getsize(path))
        add(about, io.BytesIO(data), len(data))
        listed = json.dumps([{"Config": about, "RepoTags": [f"{name}:{version}"], "Layers": [inside for inside, _ in layers]}]).encode()
        add("manifest.json", io.BytesIO(listed), len(listed))


main()
