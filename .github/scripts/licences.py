#!/usr/bin/env python3
"""Collects the licences of everything that is in the command-line program.

    licences.py TARGET OUT [NOTICES]

TARGET is a triple of Rust. OUT gets THIRD-PARTY.md, a table of every crate that is linked in (and every other thing: the
C++ inside them, the libraries that the compilers add, the models), and the text of each licence as its author wrote it. A
crate that brings no text and whose licence isn't one that asks for it is listed by name and SPDX expression; a crate
without any licence is an error.

What the compilers add: the texts of Rust's own library and of GCC's are part of a Rust toolchain, as rustup installs it;
NOTICES is a folder with those of the others (nix/notices.nix). With NOTICES a text that isn't there is an error.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEXT = re.compile(r"^(licen[sc]e|copying|notice|unlicense|copyright)", re.IGNORECASE)
# What is inside crates and is somebody else's.
INSIDE = {
    "whisper-rs-sys": ["whisper.cpp/LICENSE"],
    "sqlite-vec": [],
    "libsqlite3-sys": [],
}
NOTES = {
    "libsqlite3-sys": "holds SQLite, which is in the public domain",
    "whisper-rs-sys": "holds whisper.cpp and ggml (MIT)",
}


def texts_of(folder):
    found = []
    for here, names, files in os.walk(folder):
        depth = os.path.relpath(here, folder).count(os.sep)
        if depth > 0:
            names[:] = []
        names[:] = sorted(n for n in names if TEXT.match(n)) if here == folder else []
        for name in sorted(files):
            # In the crate itself, or in a folder of licences; never source code.
            if TEXT.match(name) or here != folder:
                if not name.endswith((".rs", ".toml", ".py", ".json")):
                    found.append(os.path.join(here, name))
    return found


def crates_of(target, package):
    told = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", target],
        capture_output=True, text=True, cwd=ROOT, check=False)
    if told.returncode != 0:
        told = subprocess.run(
            ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    if told.returncode != 0:
        sys.exit("error: cargo metadata fails; its message is above")
    told = json.loads(told.stdout)
    packages = {p["id"]: p for p in told["packages"]}
    nodes = {n["id"]: n for n in told["resolve"]["nodes"]}
    todo = [i for i, p in packages.items() if p["name"] == package and p["source"] is None]
    if not todo:
        sys.exit(f"error: the workspace has no package {package}")
    seen = set()
    while todo:
        it = todo.pop()
        if it in seen:
            continue
        seen.add(it)
        for dep in nodes[it]["deps"]:
            # What is linked: neither build scripts' crates nor those of tests; a macro's output is, the macro isn't.
            if any(kind["kind"] is None for kind in dep["dep_kinds"]):
                todo.append(dep["pkg"])
    return sorted((packages[i] for i in seen if packages[i]["source"] is not None), key=lambda p: (p["name"], p["version"]))


def added_by_compilers(target, notices):
    """What they link in statically, for all of TARGET's kind: what it is, its licence, the files with its text."""
    told = subprocess.run(["rustc", "--print", "sysroot"], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    rust = os.path.join(told.stdout.strip(), "share", "doc", "rust")
    gcc = [os.path.join(rust, "licenses", name) for name in ("GCC-exception-3.1.txt", "GPL-3.0-or-later.txt")]

    def notice(name):
        return [os.path.join(notices, name)] if notices else []

    added = [("Rust's standard library, with the crates in it", "MIT OR Apache-2.0", [os.path.join(rust, "COPYRIGHT-library.html")])]
    if target.endswith("-musl") or target.endswith("-windows-gnu"):
        added.append(("GCC's run-time libraries: libstdc++, libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1", gcc))
    if target.endswith("-musl"):
        added.append(("musl, the C library", "MIT", notice("musl.txt")))
    if target.endswith("-windows-gnu"):
        added.append(("mingw-w64's run-time library, with winpthreads", "see the text", notice("mingw-w64.txt")))
        added.append(("mcfgthread", "LGPL-3.0-or-later WITH GCC-exception-3.1", notice("mcfgthread.txt") + gcc))
    missing = [path for _, _, paths in added for path in paths if not os.path.isfile(path)]
    if notices and missing:
        sys.exit("error: these texts of licences aren't there: " + ", ".join(missing))
    return [(what, spdx, [path for path in paths if path not in missing]) for what, spdx, paths in added]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    target, out = sys.argv[1:3]
    notices = sys.argv[3] if len(sys.argv) == 4 else None
    os.makedirs(out, exist_ok=True)
    kept, rows, without = {}, [], []

    def keep(path):
        with open(path, "rb") as opened:
            data = opened.read().replace(b"\r\n", b"\n").strip() + b"\n"
        digest = hashlib.sha256(data).hexdigest()[:12]
        if digest not in kept:
            name = digest + (".html" if path.endswith(".html") else ".txt")
            with open(os.path.join(out, name), "wb") as text:
                text.write(data)
            kept[digest] = name
        return kept[digest]

    for crate in crates_of(target, "speakr"):
        folder = os.path.dirname(crate["manifest_path"])
        spdx = (crate["license"] or "").replace("/", " OR ")
        names = texts_of(folder)
        if crate["license_file"]:
            names.append(os.path.join(folder, crate["license_file"]))
        for inside in INSIDE.get(crate["name"], []):
            path = os.path.join(folder, inside)
            if not os.path.exists(path):
                sys.exit(f"error: {crate['name']} {crate['version']} has no {inside} any more: see INSIDE in {__file__}")
            names.append(path)
        files = sorted({keep(name) for name in names if os.path.isfile(name)})
        if not files and not spdx:
            without.append(f"{crate['name']} {crate['version']}")
        note = NOTES.get(crate["name"])
        rows.append((f"[{crate['name']}]({crate['repository'] or 'https://crates.io/crates/' + crate['name']}) {crate['version']}"
                     + (f", {note}" if note else ""), spdx or "see the text", files))
    if without:
        sys.exit("error: these crates name no licence and bring no text: " + ", ".join(without))

    for what, spdx, paths in added_by_compilers(target, notices):
        rows.append((what, spdx, [keep(path) for path in paths]))
    models = os.path.join(ROOT, "assets", "models", "licences")
    for name, spdx, file in (("Whisper tiny.en, the speech model", "MIT", "whisper-MIT.txt"),
                             ("all-MiniLM-L6-v2, the sentence embedder", "Apache-2.0", "all-minilm-l6-v2-Apache-2.0.txt"),
                             ("Silero VAD", "MIT", "silero-vad-MIT.txt")):
        rows.append((name, spdx, [keep(os.path.join(models, file))]))

    with open(os.path.join(out, "THIRD-PARTY.md"), "w", encoding="utf-8") as table:
        table.write("# What is inside, and its licences\n\n"
                    f"Everything that is linked into `speakr` for {target}, beside speakr itself.\n\n"
                    "| what | licence | text |\n|---|---|---|\n")
        for what, spdx, files in rows:
            links = " ".join(f"[{os.path.splitext(n)[0]}]({n})" for n in files) or "by name alone: no text comes with it here"
            table.write(f"| {what} | {spdx} | {links} |\n")
    print(f"  {len(rows)} parts, {len(kept)} texts, {sum(1 for r in rows if not r[2])} by name alone", file=sys.stderr)


main()
