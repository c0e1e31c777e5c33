"""Holds words and numbers of a state against what AWS's own API takes, as botocore knows it.

usage: enumerations.py STATE.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session

from state import report, resources

# resource | argument | API | its name for the values there
TABLE = """
aws_autoscaling_policy | target_tracking_configuration.predefined_metric_specification.predefined_metric_type | autoscaling | MetricType
aws_budgets_budget | budget_type | budgets | BudgetType
aws_budgets_budget | notification.comparison_operator | budgets | ComparisonOperator
aws_budgets_budget | notification.notification_type | budgets | NotificationType
aws_budgets_budget | notification.threshold_type | budgets | ThresholdType
aws_budgets_budget | time_unit | budgets | TimeUnit
aws_acm_certificate | validation_method | acm | ValidationMethod
aws_cloudwatch_metric_alarm | comparison_operator | cloudwatch | ComparisonOperator
aws_cloudwatch_metric_alarm | statistic | cloudwatch | Statistic
aws_codebuild_project | artifacts.type | codebuild | ArtifactsType
aws_codebuild_project | environment.compute_type | codebuild | ComputeType
aws_codebuild_project | environment.type | codebuild | EnvironmentType
aws_codebuild_project | source.auth.type | codebuild | SourceAuthType
aws_codebuild_project | source.type | codebuild | SourceType
aws_codebuild_webhook | build_type | codebuild | WebhookBuildType
aws_codebuild_webhook | filter_group.filter.type | codebuild | WebhookFilterType
aws_codeconnections_connection | provider_type | codeconnections | ProviderType
aws_db_instance | database_insights_mode | rds | DatabaseInsightsMode
aws_ecr_repository | encryption_configuration.encryption_type | ecr | EncryptionType
aws_ecr_repository | image_tag_mutability | ecr | ImageTagMutability
aws_ecr_repository | image_tag_mutability_exclusion_filter.filter_type | ecr | ImageTagMutabilityExclusionFilterType
aws_eks_access_policy_association | access_scope.type | eks | AccessScopeType
aws_eks_addon | resolve_conflicts_on_create | eks | ResolveConflicts
aws_eks_addon | resolve_conflicts_on_update | eks | ResolveConflicts
aws_eks_cluster | access_config.authentication_mode | eks | AuthenticationMode
aws_eks_cluster | enabled_cluster_log_types | eks | LogType
aws_eks_cluster | upgrade_policy.support_type | eks | SupportType
aws_eks_node_group | ami_type | eks | AMITypes
aws_eks_node_group | capacity_type | eks | CapacityTypes
aws_eks_node_group | instance_types | ec2 | InstanceType
aws_eks_node_group | taint.effect | eks | TaintEffect
aws_flow_log | log_destination_type | ec2 | LogDestinationType
aws_flow_log | traffic_type | ec2 | TrafficType
aws_launch_template | block_device_mappings.ebs.volume_type | ec2 | VolumeType
aws_launch_template | metadata_options.http_endpoint | ec2 | LaunchTemplateInstanceMetadataEndpointState
aws_launch_template | metadata_options.http_tokens | ec2 | LaunchTemplateHttpTokensState
aws_launch_template | tag_specifications.resource_type | ec2 | ResourceType
aws_s3_bucket_lifecycle_configuration | rule.status | s3 | ExpirationStatus
aws_s3_bucket_lifecycle_configuration | rule.transition.storage_class | s3 | TransitionStorageClass
aws_s3_bucket_ownership_controls | rule.object_ownership | s3 | ObjectOwnership
aws_s3_bucket_replication_configuration | rule.destination.storage_class | s3 | StorageClass
aws_s3_bucket_replication_configuration | rule.status | s3 | ReplicationRuleStatus
aws_s3_bucket_server_side_encryption_configuration | rule.apply_server_side_encryption_by_default.sse_algorithm | s3 | ServerSideEncryption
aws_s3_bucket_versioning | versioning_configuration.status | s3 | BucketVersioningStatus
aws_vpc_endpoint | vpc_endpoint_type | ec2 | VpcEndpointType
aws_xray_trace_segment_destination | destination | xray | TraceSegmentDestination
"""

# What the APIs take by documentation, and say in no model.
BY_HAND = {
    ("aws_cloudwatch_log_group", "retention_in_days"): {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653},
    ("aws_db_instance", "performance_insights_retention_period"): {7, 731} | {31 * months for months in range(1, 24)},
    ("aws_db_instance", "monitoring_interval"): {0, 1, 5, 10, 15, 30, 60},
    ("aws_db_instance", "enabled_cloudwatch_logs_exports"): {"postgresql", "upgrade", "iam-db-auth-error"},
    ("aws_db_instance", "ca_cert_identifier"): {"rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"},
    ("aws_cloudwatch_metric_alarm", "treat_missing_data"): {"breaching", "notBreaching", "ignore", "missing"},
    ("aws_cloudwatch_metric_alarm", "period"): {10, 20, 30} | {60 * minutes for minutes in range(1, 1441)},
    ("aws_flow_log", "max_aggregation_interval"): {60, 600},
    ("aws_eks_addon", "addon_name"): {
        "amazon-cloudwatch-observability", "aws-ebs-csi-driver", "aws-secrets-store-csi-driver-provider",
        "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni",
    },
}  # fmt: skip

SESSION = botocore.session.get_session()


@cache
def words(api: str, name: str) -> frozenset[str]:
    return frozenset(SESSION.get_service_model(api).shape_for(name).enum)


def values_at(value: Any, path: list[str]) -> Iterator[Any]:
    if value is None:
        return
    if isinstance(value, list):
        for one in value:
            yield from values_at(one, path)
    elif path:
        yield from values_at(value.get(path[0]), path[1:])
    else:
        yield value


def main() -> None:
    table = [tuple(part.strip() for part in line.split("|")) for line in TABLE.strip().splitlines()]
    looked_at, findings = 0, []
    for resource in resources(Path(sys.argv[1])):
        allowed = [(argument, words(api, name)) for kind, argument, api, name in table if kind == resource.type]
        allowed += [(argument, known) for (kind, argument), known in BY_HAND.items() if kind == resource.type]
        for argument, known in allowed:
            for value in values_at(resource.values, argument.split(".")):
                looked_at += 1
                if value not in known and value != "":
                    near = ", ".join(map(str, sorted(known)[:8]))
                    findings.append(f"{resource.address}: {argument} can't be {value!r}; there are {near} …")
        # A database's class is an instance's with db. before it; which families RDS has is in no model.
        if resource.type == "aws_db_instance":
            looked_at += 1
            kind = resource.values["instance_class"]
            if not kind.startswith("db.") or kind.removeprefix("db.") not in words("ec2", "InstanceType"):
                findings.append(f"{resource.address}: there is no class {kind}")
    report("words", looked_at, findings)


if __name__ == "__main__":
    main()
