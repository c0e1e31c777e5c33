"""Runs the commands of the documents: blocks that begin with "```sh run", in the order in which they stand.
All other blocks of shell are read by bash, which finds what is no shell at all.

The blocks of a document share a scratch folder, where they begin, and speakr's settings: a library of their own, a
file in the place of the microphone, no clipboard, no platform. A comment `<!-- prepare: COMMAND -->` before a block
is run before it. $ROOT is the project.

usage: commands.py FOLDER_OF_SPEAKR [DOCUMENT...]
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import markdown
from markdown import ROOT

PREPARE = re.compile(r"^\s*<!-- prepare: (.+) -->\s*$")
SECONDS = 180
SHELLS = {"sh", "bash", "shell", "console"}


def environment(scratch, folder):
    kept = ("LANG", "LC_ALL", "TMPDIR", "SystemRoot")
    given = {name: os.environ[name] for name in kept if name in os.environ}
    return given | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "ROOT": str(ROOT),
        "HOME": str(scratch),
        "SPEAKR_HOME": str(scratch / "library"),
        "SPEAKR_CONFIG": str(scratch / "config.toml"),
        "SPEAKR_DEVICE": f"file:{ROOT / 'assets/speech/jfk.wav'}",
        "SPEAKR_CLIPBOARD": "false",
    }


def run(script, scratch, env):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=scratch, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
    )


def prepared(lines, fence):
    """The commands that the comments above a block ask for."""
    commands, number = [], fence.first - 2
    while number >= 0 and (found := PREPARE.match(lines[number])):
        commands.insert(0, found[1])
        number -= 1
    return commands


def check(document, folder):
    """What is wrong with the shell of a document, and how many blocks were run and read."""
    text = document.read_text(encoding="utf-8")
    lines, name = text.split("\n"), document.relative_to(ROOT)
    wrong, ran, read = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="speakr-docs-") as temporary:
        scratch = pathlib.Path(temporary)
        env = environment(scratch, folder)
        for fence in markdown.split(text)[0]:
            if fence.language not in SHELLS:
                continue
            place, script = f"{name}:{fence.first}", "\n".join(fence.lines)
            if "run" not in fence.info[1:]:
                read += 1
                done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    wrong.append(f"{place}: bash can't read it:\n{done.stderr}")
                continue
            ran += 1
            began = time.monotonic()
            try:
                done = run("\n".join([*prepared(lines, fence), script]), scratch, env)
            except subprocess.TimeoutExpired:
                wrong.append(f"{place}: it wasn't done within {SECONDS} seconds")
                continue
            print(f"{place}: {time.monotonic() - began:.1f} s", file=sys.stderr)
            if done.returncode != 0:
                wrong.append(f"{place}: it failed with {done.returncode}:\n{done.stdout}")
    return wrong, ran, read


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    chosen = [(ROOT / name).resolve() for name in sys.argv[2:]]
    wrong, ran, read = [], 0, 0
    for document in chosen or markdown.documents():
        problems, its_ran, its_read = check(document, folder)
        wrong += problems
        ran += its_ran
        read += its_read
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong:
        sys.exit(f"error: {len(wrong)} blocks of the documents don't do what they are there for.")
    if not chosen and ran == 0:
        sys.exit("error: no document has a block to run (```sh run).")
    print(f"{ran} blocks of the documents ran, and bash can read {read} others.")


if __name__ == "__main__":
    main()
