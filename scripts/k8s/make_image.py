#!/usr/bin/env python3
"""Writes an OCI image layout of files that are here, without a registry, Nix or Docker.

    make_image.py OUT_DIR --entrypoint=WORDS [--cmd=WORDS] [--env K=V]… [--port N]… [--label K=V]… --layer SPEC… [--layer SPEC…]…

A SPEC is SOURCE=TARGET[:MODE] (a file or a folder), @TARGET[:MODE] (an empty folder), or
TARGET->LINK (a symbolic link). Programs bring the libraries that they are linked with: those go into
layers of their own before the others, at the same paths as here. The same input gives the same digest.
Prints that digest.
"""
import argparse
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile

PASSWD = b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532::/tmp:/sbin/nologin\n"
GROUP = b"root:x:0:\nnonroot:x:65532:\n"


def libraries(program):
    """What the program is linked with, by the paths that its loader looks at."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = set()
    for line in told.stdout.splitlines():
        match = re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line)
        if match:
            found.add(match.group(1))
        # A library may count on what its program has loaded before.
        elif "=> not found" in line and ".so" not in os.path.basename(program):
            sys.exit(f"error: {program} wants a library that isn't here: {line.strip()}")
    return found


class Layer:
    """A layer; folders are made as they are needed."""

    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)
        self.seen = set()

    def _add(self, name, kind, mode, data=b"", link=""):
        if name in self.seen:
            return
        self.seen.add(name)
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, len(data), link, 1
        self.tar.addfile(info, io.BytesIO(data))

    def folder(self, path, mode=0o755):
        name = path.strip("/")
        if name:
            self._parents(name)
            self._add(name + "/", tarfile.DIRTYPE, mode)

    def _parents(self, name):
        parts = name.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            self._add("/".join(parts[:end]) + "/", tarfile.DIRTYPE, 0o755)

    def data(self, path, data, mode):
        name = path.strip("/")
        self._parents(name)
        self._add(name, tarfile.REGTYPE, mode, data)

    def link(self, path, target):
        name = path.strip("/")
        self._parents(name)
        self._add(name, tarfile.SYMTYPE, 0o777, link=target)

    def file(self, source, path, mode=None):
        if mode is None:
            mode = 0o755 if os.stat(source).st_mode & 0o111 else 0o644
        with open(source, "rb") as opened:
            self.data(path, opened.read(), mode)

    def tree(self, source, path):
        for folder, names, files in os.walk(source):
            names.sort()
            inside = os.path.relpath(folder, source)
            target = path if inside == "." else os.path.join(path, inside)
            self.folder(target)
            for name in sorted(files):
                full = os.path.join(folder, name)
                if os.path.islink(full) and not os.path.isabs(os.readlink(full)):
                    self.link(os.path.join(target, name), os.readlink(full))
                else:
                    self.file(full, os.path.join(target, name))

    def blob(self):
        self.tar.close()
        return self.bytes.getvalue()


def is_program(path):
    with open(path, "rb") as opened:
        return opened.read(4) == b"\x7fELF"


def programs_of(specs):
    for spec in specs:
        source = spec.split("=", 1)[0]
        if spec.startswith("@") or "->" in spec:
            continue
        if os.path.isdir(source):
            for folder, _, files in os.walk(source):
                for name in files:
                    if is_program(os.path.join(folder, name)):
                        yield os.path.join(folder, name)
        elif is_program(source):
            yield source


def layer_of(specs):
    layer = Layer()
    for spec in specs:
        if "->" in spec:
            path, target = spec.split("->", 1)
            layer.link(path, target)
        elif spec.startswith("@"):
            path, _, mode = spec[1:].partition(":")
            layer.folder(path, int(mode or "755", 8))
        else:
            source, _, rest = spec.partition("=")
            path, _, mode = rest.partition(":")
            if os.path.isdir(source):
                layer.tree(source, path)
            else:
                layer.file(source, path, int(mode, 8) if mode else None)
    return layer.blob()


def base():
    """A name for the user, a place for what is in passing, and who vouches for certificates."""
    layer = Layer()
    layer.data("/etc/passwd", PASSWD, 0o644)
    layer.data("/etc/group", GROUP, 0o644)
    layer.folder("/tmp", 0o1777)
    roots = "/etc/ssl/certs/ca-certificates.crt"
    if os.path.exists(roots):
        layer.file(roots, "/etc/ssl/certs/ca-bundle.crt", 0o644)
    return layer.blob()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--entrypoint", type=shlex.split, required=True)
    parser.add_argument("--cmd", type=shlex.split, default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--port", action="append", default=[])
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--layer", action="append", nargs="+", required=True)
    given = parser.parse_args()

    # The libraries of each layer's programs, one layer for what each adds: images share them. Those that
    # come in a folder of their own are there already.
    layers, known = [base()], set()
    brought = tuple(os.path.join(spec.split("=", 1)[0], "") for specs in given.layer for spec in specs
                    if not spec.startswith("@") and "->" not in spec and os.path.isdir(spec.split("=", 1)[0]))
    for specs in given.layer:
        wanted = set()
        for program in programs_of(specs):
            wanted |= {path for path in libraries(program) if not os.path.realpath(path).startswith(brought)}
        new = sorted(wanted - known)
        known |= wanted
        if new:
            layers.append(layer_of([f"{path}={path}:755" for path in new]))
    layers += [layer_of(specs) for specs in given.layer]

    blobs = os.path.join(given.out, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)

    def keep(data):
        digest = hashlib.sha256(data).hexdigest()
        path = os.path.join(blobs, digest)
        if not os.path.exists(path):
            with open(path, "wb") as opened:
                opened.write(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    kept = [keep(layer) for layer in layers]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    config = keep(json.dumps({
        "architecture": machine, "os": "linux", "created": "1970-01-01T00:00:01Z",
        "config": {
            "Entrypoint": given.entrypoint, "Cmd": given.cmd, "User": "65532:65532", "WorkingDir": "/tmp",
            "StopSignal": "SIGTERM",
            "Env": ["SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt", *given.env],
            "ExposedPorts": {f"{port}/tcp": {} for port in given.port},
            "Labels": dict(label.split("=", 1) for label in given.label),
        },
        "rootfs": {"type": "layers", "diff_ids": [blob["digest"] for blob in kept]},
    }, sort_keys=True).encode())
    kind = "application/vnd.oci.image."
    manifest = keep(json.dumps({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json", **config},
        "layers": [{"mediaType": kind + "layer.v1.tar", **blob} for blob in kept],
    }, sort_keys=True).encode())
    with open(os.path.join(given.out, "index.json"), "w", encoding="utf-8") as opened:
        json.dump({"schemaVersion": 2, "mediaType": kind + "index.v1+json", "manifests": [
            {"mediaType": kind + "manifest.v1+json", **manifest,
             "platform": {"architecture": machine, "os": "linux"}}]}, opened)
    with open(os.path.join(given.out, "oci-layout"), "w", encoding="utf-8") as opened:
        opened.write('{"imageLayoutVersion": "1.0.0"}')
    print(manifest["digest"])


main()
