output "state_bucket" {
  description = "Bucket of Terraform's states: bucket= of each environment's backend."
  value       = aws_s3_bucket.state.id
}

output "state_key_arn" {
  description = "Key of the states: kms_key_id= of each environment's backend."
  value       = module.state_key.arn
}

output "trace_key_arn" {
  description = "Key for the log groups that AWS makes for traces."
  value       = module.trace_key.arn
}

output "state_policy" {
  description = "Policy of the bucket of states, as JSON."
  value       = aws_s3_bucket_policy.state.policy
}

output "github_provider_arn" {
  description = "Who GitHub's jobs are to IAM."
  value       = aws_iam_openid_connect_provider.github.arn
}

output "github_connection_arn" {
  description = "Connection to GitHub, for the environments' runners."
  value       = aws_codeconnections_connection.github.arn
}

output "publish_role_arn" {
  description = "Role that jobs of the GitHub environment \"release\" take to push images."
  value       = module.publish.publish_role_arn
}

output "repository_urls" {
  description = "Addresses of the images."
  value       = module.registry.repository_urls
}
