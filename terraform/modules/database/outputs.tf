output "identifier" {
  description = "Name of the instance."
  value       = aws_db_instance.this.identifier
}

output "arn" {
  description = "ARN of the instance."
  value       = aws_db_instance.this.arn
}

output "address" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "master_secret_arn" {
  description = "Secret that RDS keeps the master's user and password in."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}

output "key_arn" {
  description = "Key of the database."
  value       = module.key.arn
}
