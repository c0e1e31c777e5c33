#!/usr/bin/env python3
"""Gives a program the list of its crates that cargo-auditable would have given it (section .dep-v0), for a rehearsal
with programs that were built without.

    carry_crates.py PACKAGE PROGRAM OUT
"""
import json
import os
import subprocess
import sys
import tempfile
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    package, program, out = sys.argv[1:]
    told = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"],
        capture_output=True, text=True, cwd=ROOT, check=True).stdout)
    packages = {p["id"]: p for p in told["packages"]}
    nodes = {n["id"]: n for n in told["resolve"]["nodes"]}
    root = next(i for i, p in packages.items() if p["name"] == package and p["source"] is None)
    seen, todo = set(), [root]
    while todo:
        it = todo.pop()
        if it not in seen:
            seen.add(it)
            todo += [d["pkg"] for d in nodes[it]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
    order = sorted(seen, key=lambda i: (packages[i]["name"], packages[i]["version"]))
    place = {it: n for n, it in enumerate(order)}
    listed = []
    for it in order:
        entry = {"name": packages[it]["name"], "version": packages[it]["version"],
                 "source": "crates.io" if packages[it]["source"] else "local"}
        deps = sorted(place[d["pkg"]] for d in nodes[it]["deps"] if d["pkg"] in place and any(k["kind"] is None for k in d["dep_kinds"]))
        if deps:
            entry["dependencies"] = deps
        if it == root:
            entry["root"] = True
        listed.append(entry)
    with tempfile.NamedTemporaryFile() as section:
        section.write(zlib.compress(json.dumps({"packages": listed}, separators=(",", ":")).encode()))
        section.flush()
        subprocess.run(["objcopy", "--strip-all", "--add-section", f".dep-v0={section.name}",
                        "--set-section-flags", ".dep-v0=noload,readonly", program, out], check=True)
    print(f"{package}: {len(listed)} crates", file=sys.stderr)


main()
