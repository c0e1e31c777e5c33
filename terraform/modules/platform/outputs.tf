# Names as in k8s/overlays/ENVIRONMENT/environment/environment.env.
output "environment" {
  description = "The facts of this environment that the manifests need, as the ConfigMap speakr-environment has them."
  value = merge(
    {
      ENVIRONMENT                  = var.environment
      AWS_REGION                   = local.region
      S3_BUCKET                    = module.object_storage.bucket
      STREAMS_BACKUP_BUCKET        = module.messaging.backup_bucket
      METRICS_WRITE_URL            = module.monitoring.remote_write_url
      NATS_URL                     = module.messaging.nats_url
      LOAD_BALANCER_SECURITY_GROUP = module.cluster.load_balancer_security_group_id
      CERTIFICATE_ARN              = var.hostnames == null ? "unset" : aws_acm_certificate.this[0].arn
      API_URL                      = var.hostnames == null ? "unset" : "https://${var.hostnames.api}"
    },
    { for index, zone in var.availability_zones : "DATABASE_CIDR_${index + 1}" => module.network.database_cidrs[zone] },
    { for index, zone in var.availability_zones : "LOAD_BALANCER_CIDR_${index + 1}" => module.network.public_cidrs[zone] },
  )
}

output "storage_class" {
  description = "What the storage class of the manifests is made with: key and tags of volumes."
  value = {
    kmsKeyId           = module.messaging.volume_key_arn
    tagSpecification_1 = "speakr-backup=${module.backup.volume_tag}"
    tagSpecification_2 = "environment=${var.environment}"
  }
}

output "nats_url" {
  description = "NATS_URL of the services."
  value       = module.messaging.nats_url
}

output "cluster_name" {
  description = "Name of the cluster, for aws eks update-kubeconfig."
  value       = module.cluster.name
}

output "database_address" {
  description = "Host name of the database."
  value       = module.database.address
}

output "database_master_secret_arn" {
  description = "Secret that RDS keeps the master's user and password in, for making the roles once."
  value       = module.database.master_secret_arn
}

output "deploy_role_arn" {
  description = "Role that jobs of the GitHub environment take to deploy."
  value       = module.deploy_access.deploy_role_arn
}

output "runner_label" {
  description = "What a job that deploys puts into runs-on; null without a runner."
  value       = module.deploy_access.runner_label
}

output "certificate_records" {
  description = "DNS records that prove that the names are ours: set them once, and leave them."
  value = var.hostnames == null ? [] : [
    for option in aws_acm_certificate.this[0].domain_validation_options : {
      name  = option.resource_record_name
      type  = option.resource_record_type
      value = option.resource_record_value
    }
  ]
}

output "secret_names" {
  description = "Secrets that have to be filled (scripts/cloud-secrets.sh)."
  value       = sort([for name in keys(module.secrets.arns) : "speakr/${var.environment}/${name}"])
}

output "workload_policies" {
  description = "What each service account may do, as JSON."
  value       = local.workload_policies
}

output "backup_vault" {
  description = "Vault of the backups."
  value       = module.backup.vault_name
}
