"""Reads the flake without Nix: every file parses, every path in it is there, and the lock file belongs to it.

    check.py FOLDER

It evaluates nothing: names of nixpkgs, types and builds are what `nix flake check` is for.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import tree_sitter_nix
from tree_sitter import Language, Node, Parser


def nix_files(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "*.nix"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / line for line in listed.splitlines()]


def nodes(node: Node):
    yield node
    for child in node.children:
        yield from nodes(child)


def wrong_in(path: Path, parser: Parser) -> list[str]:
    """What is wrong with the file, with the line it is in."""
    found = []
    # The grammar doesn't know the comma after the last argument, which is nixfmt's form.
    text = re.sub(rb",(\s*\})", rb" \1", path.read_bytes())
    for node in nodes(parser.parse(text).root_node):
        line = node.start_point[0] + 1
        text = (node.text or b"").decode()
        if node.is_error or node.is_missing:
            found.append(f"{path}:{line}: doesn't parse at {text.splitlines()[:1]}")
        # A path with a part that is computed can't be looked up.
        elif node.type == "path_expression" and "$" not in text and not (path.parent / text).exists():
            found.append(f"{path}:{line}: there is no {text}")
    return found


def wrong_in_lock(root: Path) -> list[str]:
    """Each input of flake.nix is locked to one revision with its digest, and nothing else is."""
    named = dict(re.findall(r'^\s*(\w+)\.url = "([^"]+)";', (root / "flake.nix").read_text(), re.MULTILINE))
    lock = json.loads((root / "flake.lock").read_text())
    inputs = lock["nodes"][lock["root"]]["inputs"]
    if not named or set(named) != set(inputs):
        return [f"flake.lock locks {sorted(inputs)}, flake.nix names {sorted(named)}: run nix flake lock"]
    found = []
    for name, url in named.items():
        node = lock["nodes"][inputs[name]]
        original = node["original"]
        of_lock = f"{original['type']}:{original['owner']}/{original['repo']}"
        if "ref" in original:
            of_lock += f"/{original['ref']}"
        if of_lock != url:
            found.append(f"flake.lock has {name} from {of_lock}, flake.nix from {url}: run nix flake lock")
        locked = node["locked"]
        if not re.fullmatch(r"[0-9a-f]{40}", locked.get("rev", "")) or "narHash" not in locked:
            found.append(f"flake.lock doesn't pin {name}")
    return found


def main() -> int:
    root = Path(sys.argv[1])
    files = nix_files(root)
    if not files:
        print(f"no Nix files in {root}", file=sys.stderr)
        return 1
    parser = Parser(Language(tree_sitter_nix.language()))
    found = [wrong for path in files for wrong in wrong_in(path, parser)] + wrong_in_lock(root)
    for wrong in found:
        print(wrong, file=sys.stderr)
    print(f"{len(files)} Nix files read, {len(found)} things wrong.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
