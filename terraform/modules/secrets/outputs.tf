output "arns" {
  description = "ARN of each secret, by its name."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "key_arn" {
  description = "Key of the secrets."
  value       = module.key.arn
}

output "readers" {
  description = "Who may read each secret, by role."
  value       = local.readers
}
