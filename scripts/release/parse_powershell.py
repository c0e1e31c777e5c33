"""Whether PowerShell scripts parse.

    parse_powershell.py FILE …

It runs nothing: what the script does is for a machine with PowerShell to show.
"""

import sys
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser


def wrong_in(node: Node) -> list[str]:
    """What doesn't parse, with its line."""
    if node.is_error or node.is_missing:
        return [f"{node.start_point[0] + 1}: doesn't parse at {(node.text or b'').decode().splitlines()[:1]}"]
    return [wrong for child in node.children for wrong in wrong_in(child)]


def main(files: list[str]) -> int:
    parser = Parser(Language(tree_sitter_powershell.language()))
    if not files:
        print("error: no file is named", file=sys.stderr)
        return 2
    failed = 0
    for file in files:
        for wrong in wrong_in(parser.parse(Path(file).read_bytes()).root_node):
            print(f"{file}:{wrong}", file=sys.stderr)
            failed = 1
    return failed


sys.exit(main(sys.argv[1:]))
