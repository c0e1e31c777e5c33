output "nats_url" {
  description = "NATS_URL of the services."
  value       = local.in_cluster ? "tls://speakr-nats.${var.namespace}.svc.cluster.local:4222" : var.hosted_url
}

output "volume_key_arn" {
  description = "Key of the storage class."
  value       = module.volume_key.arn
}

output "backup_bucket" {
  description = "Bucket of the copies of streams."
  value       = aws_s3_bucket.streams.id
}

output "backup_bucket_arn" {
  description = "ARN of the bucket of the copies of streams."
  value       = aws_s3_bucket.streams.arn
}

output "backup_key_arn" {
  description = "Key of the copies of streams."
  value       = module.backup_key.arn
}
