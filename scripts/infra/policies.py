"""Looks at every policy in a state: actions that don't exist, "*" without a written reason, trust that
anybody could use, and what a role of a pod may never do.

usage: policies.py STATE.json TERRAFORM-FOLDER
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parliament import analyze_policy_string

from state import Resource, as_list, report, resources

# Where a policy is attached to a resource, "*" means that resource alone.
ON_ITSELF = {"aws_kms_key", "aws_secretsmanager_secret_policy", "aws_backup_vault_policy", "aws_vpc_endpoint"}

# RESOURCE_STAR: looked at below, with its reason. And parliament doesn't know what tokens of other issuers
# say; that GitHub's are pinned is looked at below too. DescribeKey has no context of encryption; it stands under that
# condition all the same, as in the policy that AWS gives for logs.
UNDERSTOOD = re.compile(
    r"^RESOURCE_STAR "
    r"|^UNKNOWN_CONDITION_FOR_ACTION Unknown condition token\.actions\.githubusercontent\.com:(aud|sub) "
    r"|^UNKNOWN_CONDITION_FOR_ACTION Unknown condition kms:EncryptionContext:aws:logs:arn for action kms:DescribeKey$"
)

REASON = re.compile(r'#\s*On "\*":\s*\S.{15,}')


def documents(found: list[Resource]) -> Iterator[tuple[Resource, str, dict[str, Any]]]:
    """Each policy document of each resource, with the argument that it is in."""
    for resource in found:
        for argument in ("policy", "assume_role_policy", "policy_document"):
            text = resource.values.get(argument)
            if isinstance(text, str) and '"Statement"' in text:
                yield resource, argument, json.loads(text)


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    return as_list(document["Statement"])


def unknown(resource: Resource, document: dict[str, Any]) -> Iterator[str]:
    """What parliament finds. It knows policies of identities; of others it gets the same without whom."""
    stripped = [{k: v for k, v in s.items() if k not in ("Principal", "NotPrincipal")} for s in statements(document)]
    for statement in stripped:
        statement.setdefault("Resource", "*")
    text = json.dumps({"Version": document["Version"], "Statement": stripped})
    for finding in analyze_policy_string(text).findings:
        line = f"{finding.issue} {finding.detail}"
        if not UNDERSTOOD.search(line):
            yield f"{resource.address}: {line[:300]}"


def reasons(folder: Path) -> dict[str, bool]:
    """Of each statement that the configuration spells out: whether it has a reason for its "*"."""
    found = {}
    for path in sorted(folder.rglob("*.tf")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            sid = re.search(r'Sid\s*=\s*"(\w+)"', line)
            if sid is None:
                continue
            # A statement ends where its block does: at the line that is less indented.
            depth = len(line) - len(line.lstrip())
            body = []
            for later in lines[number + 1 :]:
                if later.strip() and len(later) - len(later.lstrip()) < depth:
                    break
                body.append(later)
            found[sid.group(1)] = any(REASON.search(text) for text in body)
    return found


def every_action(action: str) -> bool:
    """All actions, or all of a service: "*", "ec2:*", "*:*"; not "ec2:Describe*"."""
    service, _, name = action.partition(":")
    return bool(set("*?") & set(service)) or not name.strip("*?")


def everything(resource: str) -> bool:
    """All resources, or all of a service: "*", "arn:aws:ec2:*:*:*", "arn:aws:s3:::*/*"; not those of one kind, "volume/*"."""
    name = resource.split(":", 5)[5:]
    return not name or not name[0].strip("*?/:")


def without_reason(resource: Resource, document: dict[str, Any], known: dict[str, bool]) -> Iterator[str]:
    for statement in statements(document):
        sid = statement.get("Sid", "")
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", sid):
            yield f"{resource.address}: a statement without a Sid that says what it is for"
            continue
        if statement.get("Effect") == "Allow" and {"NotAction", "NotResource"} & set(statement):
            yield f"{resource.address}: {sid} allows all but something"
        stars = [r for r in as_list(statement.get("Resource")) if everything(r)]
        actions = [a for a in as_list(statement.get("Action")) if every_action(a)]
        if statement.get("Effect") == "Allow" and actions and not known.get(sid) and resource.type != "aws_kms_key":
            yield f"{resource.address}: {sid} allows {', '.join(actions)} without a written reason"
        if not stars:
            continue
        on = ", ".join(f'"{star}"' for star in stars)
        if resource.type == "aws_kms_key":
            # Named by the caller of module key: the reason is there.
            continue
        if resource.type not in ON_ITSELF and not known.get(sid):
            yield f"{resource.address}: {sid} is on {on} without a written reason"
        if resource.type in ON_ITSELF and sid in known and not known[sid]:
            yield f"{resource.address}: {sid} is on {on} without a written reason"


def open_trust(resource: Resource, argument: str, document: dict[str, Any]) -> Iterator[str]:
    """Who may take a role: never everybody, and nobody without something that binds him."""
    if argument != "assume_role_policy":
        return
    for statement in statements(document):
        principal = statement.get("Principal", {})
        condition = json.dumps(statement.get("Condition", {}))
        if principal == "*" or "*" in as_list(principal.get("AWS")):
            yield f"{resource.address}: everybody may take this role"
        federated = as_list(principal.get("Federated"))
        if any("token.actions.githubusercontent.com" in name for name in federated):
            equals = statement.get("Condition", {}).get("StringEquals", {})
            subjects = as_list(equals.get("token.actions.githubusercontent.com:sub"))
            audience = as_list(equals.get("token.actions.githubusercontent.com:aud"))
            if audience != ["sts.amazonaws.com"]:
                yield f"{resource.address}: the audience of GitHub's tokens isn't pinned"
            if len(subjects) != 1 or not re.fullmatch(r"repo:[\w.-]+/[\w.-]+:environment:[a-z0-9-]+", subjects[0]):
                yield f"{resource.address}: jobs of more than one environment of one repository may take this role: {subjects}"
        services = as_list(principal.get("Service"))
        # A node's machine takes its role before anything is known of it; everything else can be bound.
        if services and services != ["ec2.amazonaws.com"] and "aws:SourceAccount" not in condition:
            yield f"{resource.address}: {services} may take this role for other accounts"


def too_much(resource: Resource, document: dict[str, Any]) -> Iterator[str]:
    """What no role of ours may have: ways to make itself more than it is."""
    if resource.type != "aws_iam_role_policy":
        return
    forbidden = re.compile(r"^(\*|iam:|sts:AssumeRole$|organizations:|kms:\*|s3:\*|secretsmanager:(\*|Put|Update|Delete)|eks:(\*|Create|Update|Delete)|ecr:\*)")
    for statement in statements(document):
        for action in as_list(statement.get("Action")):
            if statement["Effect"] == "Allow" and forbidden.search(action):
                yield f"{resource.address}: {statement.get('Sid')} allows {action}"


def main() -> None:
    found, known = resources(Path(sys.argv[1])), reasons(Path(sys.argv[2]))
    findings = []
    looked_at = 0
    for resource, argument, document in documents(found):
        looked_at += 1
        findings += unknown(resource, document)
        findings += without_reason(resource, document, known)
        findings += open_trust(resource, argument, document)
        findings += too_much(resource, document)
    report("policies", looked_at, sorted(set(findings)))


if __name__ == "__main__":
    main()
