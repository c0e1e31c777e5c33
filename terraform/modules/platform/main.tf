# One environment, whole: what the other modules make, put together. The environments' roots give numbers.

locals {
  name = "speakr-${var.environment}"

  # The cluster's and the network's: one key for the tag, so that costs can be told apart.
  tags = { environment = var.environment, project = "speakr", managed-by = "terraform" }
}

module "network" {
  source = "../network"

  name               = local.name
  cidr               = var.cidr
  availability_zones = var.availability_zones
  nat_per_zone       = var.nat_per_zone
  endpoint_zones     = var.endpoint_zones
}

module "object_storage" {
  source = "../object_storage"

  name                  = local.name
  infrequent_after_days = var.infrequent_after_days
  replica_region        = var.replica_region
}

module "secrets" {
  source = "../secrets"

  name               = local.name
  environment        = var.environment
  entries            = local.secrets
  reader_role_arns   = module.cluster.workload_role_arns
  operator_role_arns = var.operator_role_arns
}

module "messaging" {
  source = "../messaging"

  name                       = local.name
  mode                       = var.messaging
  hosted_url                 = var.hosted_nats_url
  hosted_credentials         = var.hosted_nats_credentials
  hosted_credentials_version = var.hosted_nats_credentials_version
  credential_secret_arns     = { for name in local.bus_users : name => module.secrets.arns[name] }
  cluster_name               = local.name
  log_bucket                 = module.object_storage.log_bucket
  alarm_topic_arn            = module.monitoring.alarm_topic_arn
  # As often as the job of k8s/components/aws/streams-backup.yaml runs.
  copies_every_hours = 1
}

module "cluster" {
  source = "../cluster"

  name                 = local.name
  kubernetes_version   = var.kubernetes_version
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.private_subnet_ids
  admin_role_arns      = var.admin_role_arns
  node_groups          = var.node_groups
  workloads            = { for account, policy in local.workload_policies : account => { policy = policy } }
  volume_key_arn       = module.messaging.volume_key_arn
  api_allowed_cidrs    = var.api_allowed_cidrs
  addon_versions       = var.addon_versions
  container_log_groups = module.monitoring.container_log_groups
  deletion_protection  = var.deletion_protection
  tags                 = local.tags
}

module "database" {
  source = "../database"

  name                    = local.name
  engine_version          = var.database.engine_version
  instance_class          = var.database.instance_class
  storage_gb              = var.database.storage_gb
  max_storage_gb          = var.database.max_storage_gb
  multi_az                = var.database.multi_az
  insights_retention_days = var.database.insights_retention_days
  vpc_id                  = module.network.vpc_id
  subnet_group            = module.network.database_subnet_group
  node_security_group_id  = module.cluster.node_security_group_id
  deletion_protection     = var.deletion_protection
}

module "monitoring" {
  source = "../monitoring"

  name                       = local.name
  environment                = var.environment
  cluster_name               = local.name
  database_identifier        = module.database.identifier
  database_storage_gb        = var.database.storage_gb
  database_connections_alarm = var.database.connections_alarm
  bucket                     = module.object_storage.bucket
  bucket_metric_filter       = module.object_storage.metric_filter
  nat_gateway_ids            = module.network.nat_gateway_ids
  alarm_emails               = var.alarm_emails
  monthly_budget_usd         = var.monthly_budget_usd
}

module "backup" {
  source = "../backup"

  name                    = local.name
  database_arn            = module.database.arn
  bucket_arn              = module.object_storage.bucket_arn
  lock                    = var.backup_lock
  administrator_role_arns = var.admin_role_arns
  alarm_topic_arn         = module.monitoring.alarm_topic_arn
}

module "deploy_access" {
  source = "../deploy_access"

  github_repository = var.github_repository
  repository_arns   = local.repository_arns
  deploy = {
    environment  = var.environment
    cluster_name = module.cluster.name
    cluster_arn  = module.cluster.arn
    runner = var.github_connection_arn == null ? null : {
      connection_arn            = var.github_connection_arn
      vpc_id                    = module.network.vpc_id
      subnet_ids                = module.network.private_subnet_ids
      cluster_security_group_id = module.cluster.node_security_group_id
      log_key_arn               = module.monitoring.log_key_arn
    }
  }
}

# The certificate of the API and of the bus, which the load balancers show. It is valid once the records
# of `certificate_records` are in the domain's DNS; AWS renews it as long as they are.
resource "aws_acm_certificate" "this" {
  count = var.hostnames == null ? 0 : 1

  domain_name               = var.hostnames.api
  subject_alternative_names = [var.hostnames.bus]
  validation_method         = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}
