"""Reads what `terraform show -json` writes: resources of a state, with their values."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Resource:
    """One resource: where it is in the configuration, of which kind, what it is like, and what it was made after."""

    address: str
    type: str
    values: dict[str, Any]
    after: tuple[str, ...] = ()


def resources(path: Path) -> list[Resource]:
    """All managed resources of a state."""
    state = json.loads(path.read_text(encoding="utf-8"))
    return list(_walk(state["values"]["root_module"]))


def _walk(module: dict[str, Any]) -> Iterator[Resource]:
    for found in module.get("resources", []):
        if found["mode"] == "managed":
            yield Resource(found["address"], found["type"], found["values"], tuple(found.get("depends_on", ())))
    for child in module.get("child_modules", []):
        yield from _walk(child)


def as_list(value: Any) -> list[Any]:
    """What policies write as one value or as a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def report(what: str, looked_at: int, findings: list[str]) -> None:
    """Says what was found, and ends the program: well when nothing was, and something was looked at."""
    for finding in findings:
        print(f"  {finding}")
    print(f"{what}: {looked_at} looked at, {len(findings)} findings")
    if not looked_at:
        print(f"  nothing was looked at: the check of {what} no longer finds what it is for")
    sys.exit(0 if looked_at and not findings else 1)
