output "environment" {
  description = "The facts of this environment that the manifests need (ConfigMap speakr-environment)."
  value       = module.platform.environment
}

output "storage_class" {
  description = "What the storage class of the manifests is made with."
  value       = module.platform.storage_class
}

output "nats_url" {
  description = "NATS_URL of the services."
  value       = module.platform.nats_url
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = module.platform.cluster_name
}

output "database_address" {
  description = "Host name of the database."
  value       = module.platform.database_address
}

output "database_master_secret_arn" {
  description = "Secret with the master's user and password, for making the database's roles once."
  value       = module.platform.database_master_secret_arn
}

output "deploy_role_arn" {
  description = "Role that jobs of the GitHub environment of this name take to deploy."
  value       = module.platform.deploy_role_arn
}

output "runner_label" {
  description = "What a job that deploys puts into runs-on; null without a runner."
  value       = module.platform.runner_label
}

output "certificate_records" {
  description = "DNS records for the certificate: set them once, and leave them."
  value       = module.platform.certificate_records
}

output "secret_names" {
  description = "Secrets that have to be filled (scripts/cloud-secrets.sh)."
  value       = module.platform.secret_names
}

output "backup_vault" {
  description = "Vault of the backups."
  value       = module.platform.backup_vault
}
