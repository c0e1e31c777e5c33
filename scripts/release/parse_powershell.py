"""Whether PowerShell parses: scripts, and what documents (.md) have in blocks of it.

    parse_powershell.py FILE …

It runs nothing: what they do is for a machine with PowerShell to show.
"""

import sys
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser


sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))
import markdown  # noqa: E402  (of the project)

NAMES = {"powershell", "pwsh", "ps1"}


def parts_of(file: Path) -> list[tuple[int, str]]:
    """All the PowerShell in a file, each with the number of lines before it."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".md":
        return [(0, text)]
    return [(fence.first, "\n".join(fence.lines) + "\n") for fence in markdown.split(text)[0] if fence.language in NAMES]


def wrong_in(node: Node, before: int) -> list[str]:
    """What doesn't parse, with its line."""
    if node.is_error or node.is_missing:
        return [f"{before + node.start_point[0] + 1}: doesn't parse at {(node.text or b'').decode().splitlines()[:1]}"]
    return [wrong for child in node.children for wrong in wrong_in(child, before)]


def main(files: list[str]) -> int:
    parser = Parser(Language(tree_sitter_powershell.language()))
    if not files:
        print("error: no file is named", file=sys.stderr)
        return 2
    failed = 0
    for file in files:
        for before, text in parts_of(Path(file)):
            for wrong in wrong_in(parser.parse(text.encode()).root_node, before):
                print(f"{file}:{wrong}", file=sys.stderr)
                failed = 1
    return failed


sys.exit(main(sys.argv[1:]))
