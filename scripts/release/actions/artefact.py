#!/usr/bin/env python3
"""Keeps and brings artefacts of a rehearsal's workflow, as GitHub's actions do: several paths keep what they have below what they share, files
lose their permissions.

    artefact.py upload|download     (NAME, WHAT, MISSING and REHEARSAL in the environment)
"""
import fnmatch
import os
import shutil
import sys

STORE = os.path.join(os.environ["REHEARSAL"], "artefacts")


def copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


def files_of(path):
    if os.path.isfile(path):
        return [path]
    return [os.path.join(here, name) for here, _, names in os.walk(path) for name in names]


def main():
    name, what = os.environ["NAME"], os.environ["WHAT"].split()
    if sys.argv[1:] == ["upload"]:
        found = [f for path in what for f in files_of(path)]
        if not found:
            if os.environ.get("MISSING") == "error":
                sys.exit(f"error: nothing to keep in {what}")
            return
        if len(what) == 1:
            base = what[0] if os.path.isdir(what[0]) else os.path.dirname(what[0])
        else:
            base = os.path.commonpath([os.path.dirname(p) for p in what])
        folder = os.path.join(STORE, name)
        shutil.rmtree(folder, ignore_errors=True)
        for file in found:
            copy(file, os.path.join(folder, os.path.relpath(file, base)))
        print(f"{name}: {len(found)} files")
    elif sys.argv[1:] == ["download"]:
        names = [n for n in sorted(os.listdir(STORE)) if fnmatch.fnmatch(n, name)] if os.path.isdir(STORE) else []
        if not names:
            sys.exit(f"error: there is no artefact {name}")
        for one in names:
            for file in files_of(os.path.join(STORE, one)):
                copy(file, os.path.join(what[0], os.path.relpath(file, os.path.join(STORE, one))))
        print(f"{', '.join(names)} → {what[0]}")
    else:
        sys.exit(__doc__)


main()
