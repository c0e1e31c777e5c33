"""What an environment costs in a month, by list prices, from what its state has: the parts that cost by the
hour, and what is stored to begin with. Traffic, requests and growth come on top.

usage: cost.py STATE.json...
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from state import Resource, resources

DATED = "us-east-1, on demand, list prices as of June 2026"
HOURS = 730

# US dollars an hour.
INSTANCE = {"t3.large": 0.0832, "m7i.large": 0.1008, "m7i.xlarge": 0.2016, "c7i.xlarge": 0.1785, "c7i.2xlarge": 0.357}
DATABASE = {"db.t4g.small": 0.032, "db.t4g.medium": 0.065, "db.m7g.large": 0.168}
CLUSTER, NAT, ENDPOINT_ZONE, LOAD_BALANCER, ADDRESS = 0.10, 0.045, 0.01, 0.025, 0.005
ADVANCED_INSIGHTS_VCPU = 0.0125
# US dollars a month.
KEY, SECRET, ALARM, DASHBOARD = 1.0, 0.40, 0.10, 3.0
GP3_GB, DATABASE_GB = 0.08, 0.115

# What the manifests add: two load balancers, and three volumes of the bus.
LOAD_BALANCERS, BUS_VOLUMES_GB = 2, 3 * 20
# Virtual processors of databases, for insights that are paid by them.
VCPUS = {"db.t4g.small": 2, "db.t4g.medium": 2, "db.m7g.large": 2}


def cost(found: list[Resource]) -> Counter[str]:
    """US dollars a month, by part."""
    total: Counter[str] = Counter()
    disks = {r.values["name"]: r.values["block_device_mappings"][0]["ebs"][0]["volume_size"] for r in found if r.type == "aws_launch_template"}
    for resource in found:
        values = resource.values
        match resource.type:
            case "aws_eks_cluster":
                total["control plane"] += CLUSTER * HOURS
            case "aws_eks_node_group":
                nodes = values["scaling_config"][0]["min_size"]
                total[f"nodes: {values['node_group_name']}"] += nodes * INSTANCE[values["instance_types"][0]] * HOURS
                total["disks"] += nodes * disks[f"{values['cluster_name']}-{values['node_group_name']}"] * GP3_GB
            case "aws_nat_gateway":
                total["NAT"] += (NAT + ADDRESS) * HOURS
            case "aws_vpc_endpoint" if values["vpc_endpoint_type"] == "Interface":
                total["endpoints"] += len(values["subnet_ids"]) * ENDPOINT_ZONE * HOURS
            case "aws_db_instance":
                copies = 2 if values["multi_az"] else 1
                total["database"] += copies * (DATABASE[values["instance_class"]] * HOURS + values["allocated_storage"] * DATABASE_GB)
                if values["database_insights_mode"] == "advanced":
                    total["database"] += copies * VCPUS[values["instance_class"]] * ADVANCED_INSIGHTS_VCPU * HOURS
            case "aws_kms_key":
                total["keys and secrets"] += KEY
            case "aws_secretsmanager_secret":
                total["keys and secrets"] += SECRET
            case "aws_cloudwatch_metric_alarm":
                total["alarms and dashboard"] += ALARM
            case "aws_cloudwatch_dashboard":
                total["alarms and dashboard"] += DASHBOARD
    total["load balancers"] = LOAD_BALANCERS * (LOAD_BALANCER + 3 * ADDRESS) * HOURS
    total["disks"] += BUS_VOLUMES_GB * GP3_GB
    return total


def main() -> None:
    columns = {path.parent.name: cost(resources(path)) for path in map(Path, sys.argv[1:])}
    parts = sorted({part for column in columns.values() for part in column})
    print(f"US dollars a month; {DATED}.\n")
    print(f"| part | {' | '.join(columns)} |")
    print(f"|---|{'---:|' * len(columns)}")
    for part in parts:
        print(f"| {part} | {' | '.join(f'{column[part]:.0f}' for column in columns.values())} |")
    print(f"| **together** | {' | '.join(f'**{sum(column.values()):.0f}**' for column in columns.values())} |")


if __name__ == "__main__":
    main()
