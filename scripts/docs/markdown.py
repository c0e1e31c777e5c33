"""What the checks of the documents share: which there are, their fences, headings and links."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*)$")
HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
CODE = re.compile(r"(`+)(.+?)\1")
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$")
HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"", re.I)
OWN_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"", re.I)


def documents():
    """Every Markdown file of the project, those that aren't committed yet too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.split("\n")
    else:
        # A copy without its history, as Nix makes one.
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.md") if "target" not in p.parts]
    return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})


class Fence:
    """A fenced block: where it is, what its first line says, and its lines without indentation."""

    def __init__(self, first, indent, info):
        self.first = first
        self.last = first
        self.indent = indent
        self.info = info.split()
        self.lines = []

    @property
    def language(self):
        return self.info[0] if self.info else ""


def split(text):
    """The fences of a document, and its prose as (line number, text)."""
    fences, prose, open_fence, mark = [], [], None, ""
    for number, line in enumerate(text.split("\n"), 1):
        found = FENCE.match(line)
        if open_fence is None and found:
            open_fence, mark = Fence(number, found[1], found[3]), found[2]
        elif open_fence is not None and line.strip().startswith(mark) and not line.strip().strip(mark[0]):
            open_fence.last = number
            fences.append(open_fence)
            open_fence = None
        elif open_fence is not None:
            open_fence.lines.append(line.removeprefix(open_fence.indent))
        else:
            prose.append((number, line))
    if open_fence is not None:
        raise ValueError(f"line {open_fence.first}: a block of code isn't closed")
    return fences, prose


def anchors(text):
    """What a link can lead to in a document, as GitHub names headings."""
    found, counts = set(), {}
    for _, line in split(text)[1]:
        found.update(OWN_ANCHOR.findall(line))
        heading = HEADING.match(line)
        if not heading:
            continue
        title = LINK.sub(lambda m: m[1], heading[2])
        slug = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")
        count = counts.get(slug, 0)
        counts[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def links(prose):
    """(line number, target) of every link in prose."""
    for number, line in prose:
        plain = CODE.sub("", line)
        # A link whose text is code is a link all the same: only its text goes.
        with_links = CODE.sub("x", line)
        for target in [m[2] for m in LINK.finditer(with_links)] + HTML.findall(plain):
            yield number, target
        definition = DEFINITION.match(plain)
        if definition:
            yield number, definition[1]


def code_words(prose):
    """(line number, text) of everything that prose sets as code."""
    for number, line in prose:
        for found in CODE.finditer(line):
            yield number, found[2].strip()
