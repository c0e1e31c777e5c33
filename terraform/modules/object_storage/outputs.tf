output "bucket" {
  description = "Name of the bucket of record: S3_BUCKET of the services."
  value       = aws_s3_bucket.recordings.id
}

output "bucket_arn" {
  description = "ARN of the bucket of record."
  value       = aws_s3_bucket.recordings.arn
}

output "key_arn" {
  description = "Key that the bucket encrypts with."
  value       = module.key.arn
}

output "log_bucket" {
  description = "Name of the bucket of access logs."
  value       = aws_s3_bucket.logs.id
}

output "metric_filter" {
  description = "Name of the bucket's request metrics."
  value       = aws_s3_bucket_metric.recordings.name
}

output "replica_bucket" {
  description = "Name of the copy's bucket; null where there is none."
  value       = one(values(local.replica_bucket))
}

output "policy" {
  description = "The bucket's policy as JSON."
  value       = aws_s3_bucket_policy.recordings.policy
}
