"""Runs every evidence command of docs/plan.md again, and writes what it printed in its place.

A block of evidence is fenced, and its first line says "evidence":

    ```evidence
    $ ls terraform
    README.md
    ```

What follows a line `$ COMMAND`, up to the next, is what the command printed, on both channels. Commands are run by
bash, in the project's folder. Words after "evidence": "slow" takes minutes, "account" needs a cloud account or
GitHub, and is never run here. What differs from one time to the next (times, sizes of folders, ids) is replaced by
signs, so that a difference means something.

usage: evidence.py [--check] [--quick] [--form] [CRITERION...]
    --check   say what differs, and change nothing
    --quick   leave out what takes minutes
    --form    run nothing: only look whether each criterion has its mark, rationale and evidence
"""

import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys

import markdown
from markdown import ROOT

PLAN = ROOT / "docs/plan.md"
STORIES = {
    "P3-IAC1": 11, "P3-CD1": 10, "P3-CD2": 5, "P3-CD3": 5, "P3-DOC1": 5, "P3-DOC2": 4, "P3-PROD1": 11,
}
CRITERION = re.compile(r"^- \[([ x])\] \*\*(P3-[A-Z0-9]+\.\d+)\*\* (.+)$")
MARK = re.compile(r"— \*(shown|shown on a stand-in|not shown)\*$")
SUMMARY = re.compile(r"^\d+ of \d+ criteria are shown, \d+ on a stand-in, \d+ not yet\.$", re.M)
SECONDS = {"quick": 120, "slow": 3600}

# What differs from one run to the next, and what stands for it.
VOLATILE = [
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)"), "<time>"),
    (re.compile(r"\[\s*\d+\.\d+s\]\s*(?:\(\s*\d+/\d+\)\s*)?"), ""),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s)\b(?!\w)"), "<time>"),
    (re.compile(re.escape(str(ROOT))), "."),
    (re.compile(re.escape(str(pathlib.Path.home()))), "~"),
    (re.compile(r"/tmp/[\w./-]+"), "<scratch>"),
]


def normalised(text):
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        for pattern, sign in VOLATILE:
            line = pattern.sub(sign, line)
        lines.append(line.rstrip())
    while lines and not lines[-1]:
        lines.pop()
    # Tests end in the order in which they like to.
    passed = [i for i, line in enumerate(lines) if re.match(r"\s*(PASS|SKIP) ", line)]
    for place, line in zip(passed, sorted(lines[i] for i in passed)):
        lines[place] = line
    return lines


def commands_of(fence):
    """[(command, what it printed)]; the command's lines go on after a backslash at a line's end."""
    found, goes_on = [], False
    for line in fence.lines:
        if goes_on:
            found[-1][0].append(line)
            goes_on = line.endswith("\\")
        elif line.startswith("$ "):
            found.append(([line[2:]], []))
            goes_on = line.endswith("\\")
        elif not found:
            raise ValueError(f"line {fence.first}: evidence begins with a line \"$ COMMAND\"")
        else:
            found[-1][1].append(line)
    return [("\n".join(command), printed) for command, printed in found]


def run(command, slow):
    seconds = SECONDS["slow" if slow else "quick"]
    # What reads a terminal's width or colours is to print the same everywhere.
    env = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"(not done within {seconds} seconds)"], False
    lines = normalised(done.stdout)
    if done.returncode != 0:
        lines.append(f"(exit code {done.returncode})")
    return lines, done.returncode == 0


def criteria(text):
    """[(number of its first line, id, ticked, its whole text)]."""
    found, lines = [], text.split("\n")
    for number, line in enumerate(lines):
        matched = CRITERION.match(line)
        if matched:
            end = next(
                (n for n in range(number + 1, len(lines)) if lines[n].startswith(("- [", "#"))), len(lines)
            )
            found.append((number + 1, matched[2], matched[1] == "x", "\n".join(lines[number:end])))
    return found


def wrong_form(text):
    """What is wrong with the plan's form."""
    wrong, marks = [], {"shown": 0, "shown on a stand-in": 0, "not shown": 0}
    found = criteria(text)
    names = [name for _, name, _, _ in found]
    wanted = [f"{story}.{n}" for story, count in STORIES.items() for n in range(1, count + 1)]
    for name in wanted:
        if names.count(name) != 1:
            wrong.append(f"{name} stands there {names.count(name)} times")
    wrong += [f"{name} is no criterion of the plan" for name in names if name not in wanted]
    for number, name, ticked, whole in found:
        head = whole.split("\n")[0]
        mark = MARK.search(head)
        if not mark:
            wrong.append(f"line {number}: {name} has no mark (— *shown*, *shown on a stand-in* or *not shown*)")
            continue
        marks[mark[1]] += 1
        if ticked != (mark[1] == "shown"):
            wrong.append(f"line {number}: {name} is {'ticked' if ticked else 'not ticked'} and {mark[1]}")
        for part in ("Rationale", "Evidence"):
            if not re.search(rf"^  - {part}: \S", whole, re.M):
                wrong.append(f"line {number}: {name} has no {part.lower()}")
        if mark[1] != "not shown" and "`" not in whole.split("- Evidence:")[-1]:
            wrong.append(f"line {number}: the evidence of {name} names no command")
    return wrong, marks


def summary(marks):
    return "{} of {} criteria are shown, {} on a stand-in, {} not yet.".format(
        marks["shown"], sum(marks.values()), marks["shown on a stand-in"], marks["not shown"]
    )


def rendered(fence, results):
    lines = []
    for command, printed in results:
        lines += ["$ " + command, *printed]
    return [fence.indent + line if line else "" for line in "\n".join(lines).split("\n")]


def main():
    parser = argparse.ArgumentParser(add_help=True, usage=__doc__.split("usage: ")[1])
    for option in ("--check", "--quick", "--form"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("only", nargs="*")
    asked = parser.parse_args()
    text = PLAN.read_text(encoding="utf-8")
    wrong, marks = wrong_form(text)
    if not SUMMARY.search(text):
        wrong.append("the line \"N of N criteria are shown, N on a stand-in, N not yet.\" is missing")
    elif not wrong and not (asked.check or asked.form):
        # The one figure that follows from the rest.
        counted = SUMMARY.sub(summary(marks), text, count=1)
        if counted != text:
            PLAN.write_text(counted, encoding="utf-8")
            text = counted
    elif not wrong and summary(marks) not in text:
        wrong.append(f"the summary has to be: {summary(marks)}")
    for problem in wrong:
        print(f"docs/plan.md: {problem}", file=sys.stderr)
    if wrong:
        sys.exit(f"error: the form of docs/plan.md is wrong in {len(wrong)} places.")
    if asked.form:
        print(f"docs/plan.md: {', '.join(f'{count} {mark}' for mark, count in marks.items())}.")
        return
    fences = [f for f in markdown.split(text)[0] if f.language == "evidence"]
    found, lines, differs, failed, left = criteria(text), text.split("\n"), 0, 0, 0
    for fence in reversed(fences):
        name = next((n for line, n, _, _ in reversed(found) if line < fence.first), "")
        slow = "slow" in fence.info
        if asked.only and not any(name.startswith(wanted) for wanted in asked.only):
            continue
        if "account" in fence.info or (asked.quick and slow):
            left += 1
            continue
        results = []
        for command, _ in commands_of(fence):
            print(f"{name}: {command}", file=sys.stderr, flush=True)
            printed, good = run(command, slow)
            failed += not good
            results.append((command, printed))
        old, new = lines[fence.first : fence.last - 1], rendered(fence, results)
        if old != new:
            differs += 1
            print("\n".join(difflib.unified_diff(old, new, f"{name} as written", f"{name} now", lineterm="")))
            lines[fence.first : fence.last - 1] = new
    if not asked.check and differs:
        PLAN.write_text("\n".join(lines), encoding="utf-8")
    print(f"{differs} blocks of evidence differ, {failed} commands failed, {left} blocks were left out.")
    if failed or (asked.check and differs):
        sys.exit(1)


if __name__ == "__main__":
    main()
