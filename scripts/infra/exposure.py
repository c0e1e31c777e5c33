"""Looks at a state for what is open to the world, unencrypted, kept for ever, without a tag, or made too early.

usage: exposure.py STATE.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from state import Resource, as_list, report, resources

ANYWHERE = {"0.0.0.0/0", "::/0"}

# The only ways in from everywhere, and out to everywhere: by where they are in the configuration.
OPEN_IN = {"module.cluster.aws_vpc_security_group_ingress_rule.load_balancer": (443, 443)}
OPEN_OUT = {"module.deploy_access.aws_vpc_security_group_egress_rule.runner": (443, 443)}

# Tags of the provider; what has none is something that AWS doesn't tag.
TAGS = {"environment", "project", "managed-by"}


# What something is made after, and goes before in a destroy.
AFTER = {
    # It makes a log group that isn't there, without a key and an end, and the next apply finds it in its way.
    'module.cluster.aws_eks_addon.after_nodes["amazon-cloudwatch-observability"]': {"module.monitoring.aws_cloudwatch_log_group.containers"},
    # A node without a road doesn't join, and can't be emptied.
    "module.cluster.aws_eks_node_group.this": {
        "module.network.aws_route.private_nat",
        "module.network.aws_route.public_internet",
        "module.network.aws_route_table_association.private",
        "module.network.aws_route_table_association.public",
    },
}


def place(resource: Resource) -> str:
    """The address without the root's module and without which of many it is."""
    return resource.address.removeprefix("module.platform.").split("[")[0]


def rules(found: list[Resource]) -> Iterator[str]:
    for resource in found:
        kind, values = resource.type, resource.values
        if kind in ("aws_security_group_rule", "aws_network_interface_sg_attachment"):
            yield f"{resource.address}: rules are aws_vpc_security_group_…_rule alone, which are looked at here"
        if kind in ("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"):
            ports = (values.get("from_port"), values.get("to_port"))
            allowed = OPEN_IN if "ingress" in kind else OPEN_OUT
            if ANYWHERE & {values.get("cidr_ipv4"), values.get("cidr_ipv6")} and allowed.get(place(resource)) != ports:
                yield f"{resource.address}: open to everywhere, ports {ports}"
            if values.get("ip_protocol") == "-1":
                yield f"{resource.address}: all protocols"
            if not values.get("description"):
                yield f"{resource.address}: doesn't say what it is for"
        if kind == "aws_security_group":
            for side in ("ingress", "egress"):
                for rule in as_list(values.get(side)):
                    if ANYWHERE & set(as_list(rule.get("cidr_blocks")) + as_list(rule.get("ipv6_cidr_blocks"))):
                        yield f"{resource.address}: {side} open to everywhere inside the group"
        if kind == "aws_network_acl_rule" and ANYWHERE & {values.get("cidr_block"), values.get("ipv6_cidr_block")}:
            yield f"{resource.address}: open to everywhere"
        if kind == "aws_subnet" and values.get("map_public_ip_on_launch"):
            yield f"{resource.address}: hands out public addresses"


def roads(found: list[Resource]) -> Iterator[str]:
    """Subnets of databases lead nowhere, and each has a table that says so: a subnet without one has the network's own."""
    closed = {subnet for group in found if group.type == "aws_db_subnet_group" for subnet in group.values["subnet_ids"]}
    of_subnet = {r.values["subnet_id"]: r.values["route_table_id"] for r in found if r.type == "aws_route_table_association"}
    tables = {of_subnet[subnet] for subnet in closed if subnet in of_subnet}
    for subnet in closed - set(of_subnet):
        yield f"{subnet}: databases have the network's own routes"
    for resource in found:
        kind, values = resource.type, resource.values
        if kind == "aws_route" and values["route_table_id"] in tables:
            yield f"{resource.address}: databases have a road to {values.get('destination_cidr_block') or 'somewhere'}"
        if kind == "aws_route_table" and values["id"] in tables and (values.get("route") or values.get("propagating_vgws")):
            yield f"{resource.address}: databases have a road"
        if kind == "aws_vpc_endpoint" and tables & set(as_list(values.get("route_table_ids"))):
            yield f"{resource.address}: databases have a road to {values['service_name']}"


def databases(found: list[Resource]) -> Iterator[str]:
    forced = {
        group.values["name"]
        for group in found
        if group.type == "aws_db_parameter_group"
        and any(p["name"] == "rds.force_ssl" and p["value"] == "1" for p in group.values["parameter"])
    }
    for resource in found:
        if resource.type != "aws_db_instance":
            continue
        values = resource.values
        wanted = {
            "publicly_accessible": False,
            "storage_encrypted": True,
            "manage_master_user_password": True,
            "skip_final_snapshot": False,
            "copy_tags_to_snapshot": True,
        }
        for name, value in wanted.items():
            if values.get(name) is not value:
                yield f"{resource.address}: {name} is {values.get(name)}"
        if values.get("password") or values.get("password_wo"):
            yield f"{resource.address}: has a password of ours"
        if values.get("parameter_group_name") not in forced:
            yield f"{resource.address}: takes connections without TLS"
        if (values.get("backup_retention_period") or 0) < 35:
            yield f"{resource.address}: can't go back 35 days"


def clusters(found: list[Resource]) -> Iterator[str]:
    for resource in found:
        values = resource.values
        if resource.type == "aws_eks_cluster":
            network, access = values["vpc_config"][0], values["access_config"][0]
            if network.get("endpoint_public_access") is not False:
                yield f"{resource.address}: its API is open to the world"
            if access.get("authentication_mode") != "API" or access.get("bootstrap_cluster_creator_admin_permissions") is not False:
                yield f"{resource.address}: somebody has access without an access entry"
            if not values.get("encryption_config") or len(as_list(values.get("enabled_cluster_log_types"))) != 5:
                yield f"{resource.address}: secrets aren't encrypted, or a log is missing"
        if resource.type == "aws_launch_template":
            metadata, disks = values["metadata_options"][0], values["block_device_mappings"]
            if metadata.get("http_tokens") != "required" or metadata.get("http_put_response_hop_limit") != 1:
                yield f"{resource.address}: pods reach the node's credentials"
            if not all(disk["ebs"][0].get("encrypted") == "true" for disk in disks):
                yield f"{resource.address}: a disk isn't encrypted"
        if resource.type == "aws_eks_access_policy_association" and "deploy" in resource.address:
            yield f"{resource.address}: the deploy role gets a policy of EKS's own"


def buckets(found: list[Resource]) -> Iterator[str]:
    by_bucket: dict[str, dict[str, Resource]] = defaultdict(dict)
    for resource in found:
        if resource.type.startswith("aws_s3_bucket") and resource.values.get("bucket"):
            by_bucket[resource.values["bucket"]][resource.type] = resource
    for name, parts in sorted(by_bucket.items()):
        if "aws_s3_bucket" not in parts:
            continue
        for needed in ("versioning", "server_side_encryption_configuration", "public_access_block", "policy", "lifecycle_configuration"):
            if f"aws_s3_bucket_{needed}" not in parts:
                yield f"bucket {name}: has no {needed.replace('_', ' ')}"
        block = parts.get("aws_s3_bucket_public_access_block")
        if block and not all(block.values.get(n) for n in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")):
            yield f"bucket {name}: can be made public"
        versions = parts.get("aws_s3_bucket_versioning")
        if versions and versions.values["versioning_configuration"][0]["status"] != "Enabled":
            yield f"bucket {name}: keeps no versions"
        policy = parts.get("aws_s3_bucket_policy")
        if policy and not refuses_plain_text(policy.values["policy"]):
            yield f"bucket {name}: takes requests without TLS"
        if parts["aws_s3_bucket"].values.get("force_destroy"):
            yield f"bucket {name}: is deleted with what is in it"


def refuses_plain_text(policy: str) -> bool:
    return any(
        s["Effect"] == "Deny"
        and s["Principal"] == "*"
        and s["Action"] == "s3:*"
        and len(as_list(s["Resource"])) == 2
        and s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for s in json.loads(policy)["Statement"]
    )


def kept(found: list[Resource]) -> Iterator[str]:
    for resource in found:
        values = resource.values
        if resource.type == "aws_cloudwatch_log_group" and not (values.get("retention_in_days") and values.get("kms_key_id")):
            yield f"{resource.address}: is kept for ever, or isn't encrypted with a key of ours"
        if resource.type == "aws_kms_key" and not values.get("enable_key_rotation"):
            yield f"{resource.address}: isn't rotated"
        if resource.type == "aws_secretsmanager_secret_version" and (values.get("secret_string") or values.get("secret_binary")):
            yield f"{resource.address}: a secret stands in the state"
        if resource.type == "aws_sns_topic" and not values.get("kms_master_key_id"):
            yield f"{resource.address}: isn't encrypted"
        if resource.type == "aws_backup_plan":
            for rule in values["rule"]:
                if rule["lifecycle"][0]["delete_after"] > 35:
                    yield f"{resource.address}: keeps what people deleted for more than 35 days"


def tagged(found: list[Resource]) -> Iterator[str]:
    for resource in found:
        if "tags_all" in resource.values and TAGS - set(resource.values["tags_all"] or {}):
            yield f"{resource.address}: lacks tags, so its costs are nobody's"


def order(found: list[Resource]) -> Iterator[str]:
    if not any(resource.type == "aws_eks_cluster" for resource in found):
        return
    for name, wanted in AFTER.items():
        late = [r for r in found if name in (r.address.removeprefix("module.platform."), place(r))]
        if not late:
            yield f"{name}: isn't there, and is to be made after something"
        for resource in late:
            for missing in sorted(wanted - {address.removeprefix("module.platform.") for address in resource.after}):
                yield f"{resource.address}: isn't made after {missing}, and so goes after it"


def main() -> None:
    found = resources(Path(sys.argv[1]))
    findings: list[str] = []
    for look in (rules, roads, databases, clusters, buckets, kept, tagged, order):
        findings += look(found)
    report("resources", len(found), sorted(findings))


if __name__ == "__main__":
    main()
