output "publish_role_arn" {
  description = "Role for jobs that push images; null where it isn't made."
  value       = one(aws_iam_role.publish[*].arn)
}

output "deploy_role_arn" {
  description = "Role for jobs that deploy; null where it isn't made."
  value       = one(aws_iam_role.deploy[*].arn)
}

output "trust" {
  description = "Trust policy of each role, by GitHub environment."
  value       = { for environment, policy in local.trust : environment => jsonencode(policy) }
}

output "runner_label" {
  description = "What a job that deploys puts into runs-on; null without a runner."
  value       = length(local.runners) == 0 ? null : "codebuild-${local.runner_name}-$${{ github.run_id }}-$${{ github.run_attempt }}"
}
