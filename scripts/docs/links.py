"""Checks that what the documents point at is there: links, their anchors, files and tests by name."""

import functools
import re
import sys
import urllib.parse

import markdown
from markdown import ROOT

# What prose sets as code and begins like this is a path of the project.
PATH = re.compile(
    r"^(?:\.ci|\.github|\.cargo|assets|crates|deploy|docs|examples|fuzz|k8s|nix|scripts|terraform)"
    r"/[\w./*{},@-]+$"
)
# Four words or more, joined as names of functions and metrics are: somewhere in the code it stands.
NAME = re.compile(r"^[a-z][a-z0-9]*(?:_[a-z0-9]+){3,}$")
CODE_ENDS = {".rs", ".py", ".sh", ".tf", ".hcl", ".yaml", ".yml", ".json", ".toml", ".conf", ".sql"}
NOT_OURS = {"target", ".git", "node_modules", ".terraform", "result"}


@functools.cache
def anchors_of(path):
    return markdown.anchors(path.read_text(encoding="utf-8"))


@functools.cache
def names_in_code():
    names = set()
    for folder in ("crates", "scripts", "terraform", "k8s", "deploy", "fuzz"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in CODE_ENDS and path.is_file() and not NOT_OURS & set(path.parts):
                names.update(re.findall(r"[a-z][a-z0-9]*(?:_[a-z0-9]+){3,}", path.read_text("utf-8", "replace")))
    return names


def alternatives(path):
    """What shells make of `a/{b,c}`."""
    found = re.search(r"\{([^{}]*)\}", path)
    if not found:
        return [path]
    ways = [path[: found.start()] + way + path[found.end() :] for way in found[1].split(",")]
    return [whole for way in ways for whole in alternatives(way)]


def wrong_link(document, target):
    """Why the link can't be followed; nothing where it can, or leads out of the project."""
    if re.match(r"^[a-z][a-z0-9+.-]*:", target, re.I):
        return None
    place, _, anchor = urllib.parse.unquote(target).partition("#")
    path = (document.parent / place).resolve() if place else document
    if place.startswith("/"):
        return "a path from the root of the file system leads nowhere on a web page"
    if not path.is_relative_to(ROOT):
        return "it leads out of the project"
    if not path.exists():
        return "there is no such file"
    if not anchor:
        return None
    if path.suffix == ".md":
        return None if anchor in anchors_of(path) else f"{path.relative_to(ROOT)} has no heading \"{anchor}\""
    line = re.fullmatch(r"L(\d+)(?:-L(\d+))?", anchor)
    if line and path.is_file():
        lines = path.read_text("utf-8", "replace").count("\n") + 1
        return None if int(line[2] or line[1]) <= lines else f"it has {lines} lines only"
    return None


def wrong_word(word):
    """Why what prose sets as code isn't there; nothing where it is, or names nothing of ours."""
    if PATH.match(word):
        for way in alternatives(word.rstrip("/")):
            if not (any(ROOT.glob(way)) if "*" in way else (ROOT / way).exists()):
                return "there is no such file"
    elif NAME.match(word) and word not in names_in_code():
        return "nothing in the code has that name"
    return None


def main():
    wrong, followed, named = [], 0, 0
    for document in markdown.documents():
        name = document.relative_to(ROOT)
        try:
            _, prose = markdown.split(document.read_text(encoding="utf-8"))
        except ValueError as error:
            wrong.append(f"{name}: {error}")
            continue
        for number, target in markdown.links(prose):
            followed += 1
            why = wrong_link(document, target)
            if why:
                wrong.append(f"{name}:{number}: the link to {target}: {why}")
        for number, word in markdown.code_words(prose):
            named += 1
            why = wrong_word(word)
            if why:
                wrong.append(f"{name}:{number}: `{word}`: {why}")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f"error: {len(wrong)} of the documents' links and names lead nowhere. Mend them, or what they name.")
    print(f"{followed} links and {named} names of {len(markdown.documents())} documents are right.")


if __name__ == "__main__":
    main()
