"""Whether the rehearsal's copy of the release workflow (pipeline.sh) calls the same scripts, in the same order and with the
same arguments, as .github/workflows/release.yml; and the same ones after a deployment that failed.

    same_steps.py

pipeline.sh is run in an empty folder in which each script only says how it was called.
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOW = ROOT / ".github/workflows/release.yml"
TAG = "v1.2.3"
STEP = re.compile(r"^ +(?:- )?run: (.*)$")
CALL = re.compile(r"^(?:exec )?(?:\.github/scripts/(\S+)|(make)) ?(.*)$")
STUB = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $1" in "deploy.sh $FAILING") exit 1 ;; esac
"""


def wanted():
    """The workflow's calls in the order of the file, as (call, whether it is for what failed)."""
    calls, targets, when = [], [], ""
    for number, line in enumerate(WORKFLOW.read_text(encoding="utf-8").splitlines(), 1):
        if line == "    strategy:":
            targets = []
        if found := re.match(r"^ +- \{ target: ([^,]+),", line):
            targets.append(found[1])
        if re.match(r"^ +- ", line):
            when = ""
        if found := re.match(r"^ +(?:- )?if: (.*)$", line):
            when = found[1]
        if not (found := STEP.match(line)):
            continue
        call = CALL.match(found[1])
        if call is None or when not in ("", "${{ cancelled() || failure() }}"):
            sys.exit(f"error: {WORKFLOW.name}:{number}: the rehearsal doesn't know what this does: {line.strip()}")
        if call[1] == "tools.sh":
            # A rehearsal has its tools already.
            continue
        text = f"{call[1] or call[2]} {call[3]}".replace('"$GITHUB_REF_NAME"', TAG).strip()
        for target in targets if '"$TARGET"' in text else [""]:
            calls.append((text.replace('"$TARGET"', target), when != ""))
    return calls


def found(folder, failing):
    """What pipeline.sh calls where the deployment to `failing` fails."""
    folder = Path(folder)
    calls = folder / "calls"
    calls.write_text("")
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls), "FAILING": failing, "REHEARSAL": str(folder),
        "STAGE_FILE": str(folder / "stage"), "GITHUB_API": "none",
    }
    subprocess.run([ROOT / "scripts/release/pipeline.sh", TAG], cwd=folder, env=environment, capture_output=True, check=False)
    return [line.strip() for line in calls.read_text().splitlines()]


def stubs(folder):
    scripts = Path(folder, ".github/scripts")
    scripts.mkdir(parents=True)
    for path in [*(scripts / script.name for script in (ROOT / ".github/scripts").glob("*.sh")), Path(folder, "make")]:
        path.write_text(STUB)
        path.chmod(0o755)


def main():
    calls = wanted()
    with tempfile.TemporaryDirectory(prefix="speakr-steps-") as folder:
        stubs(folder)
        for failing in ["", "staging", "prod"]:
            expected = []
            for call, after_failure in calls:
                if not after_failure:
                    expected.append(call)
                elif failing and expected[-1].startswith(f"deploy.sh {failing} "):
                    # What else the workflow has waits for this job.
                    expected.append(call)
                    break
            differ = list(difflib.unified_diff(expected, found(folder, failing), WORKFLOW.name, "pipeline.sh", n=1, lineterm=""))
            if differ:
                where = f" where the deployment to {failing} fails" if failing else ""
                print(f"error: the rehearsal's steps aren't the workflow's{where}:", *differ, sep="\n", file=sys.stderr)
                return 1
    return 0


sys.exit(main())
