# The same in every environment; what differs is in numbers.tf. A check compares the files.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      environment = local.environment
      project     = "speakr"
      managed-by  = "terraform"
    }
  }
}

module "platform" {
  source = "../../modules/platform"

  environment = local.environment

  # The account's own.
  github_repository               = var.github_repository
  github_connection_arn           = var.github_connection_arn
  registry_account_id             = var.registry_account_id
  admin_role_arns                 = var.admin_role_arns
  operator_role_arns              = var.operator_role_arns
  alarm_emails                    = var.alarm_emails
  hostnames                       = var.hostnames
  api_allowed_cidrs               = var.api_allowed_cidrs
  addon_versions                  = var.addon_versions
  messaging                       = var.messaging
  hosted_nats_url                 = var.hosted_nats_url
  hosted_nats_credentials         = var.hosted_nats_credentials
  hosted_nats_credentials_version = var.hosted_nats_credentials_version

  # Numbers.
  cidr                  = local.cidr
  availability_zones    = [for letter in local.zone_letters : "${var.region}${letter}"]
  nat_per_zone          = local.nat_per_zone
  endpoint_zones        = local.endpoint_zones
  kubernetes_version    = local.kubernetes_version
  node_groups           = local.node_groups
  database              = local.database
  infrequent_after_days = local.infrequent_after_days
  replica_region        = local.replica_region
  backup_lock           = local.backup_lock
  deletion_protection   = local.deletion_protection
  monthly_budget_usd    = local.monthly_budget_usd
}
