output "vault_name" {
  description = "Name of the vault."
  value       = aws_backup_vault.this.name
}

output "vault_arn" {
  description = "ARN of the vault."
  value       = aws_backup_vault.this.arn
}

output "role_arn" {
  description = "Role that copies and restores."
  value       = aws_iam_role.this.arn
}

output "volume_tag" {
  description = "Tag of volumes that are copied: speakr-backup with this value."
  value       = var.name
}
