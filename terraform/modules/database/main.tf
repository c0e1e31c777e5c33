# PostgreSQL with pgvector: the index, the tokens and the tombstones. The store of record is the bucket.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # RDS itself names the groups so.
  log_groups = { for log in ["postgresql", "upgrade"] : log => "/aws/rds/instance/${var.name}/${log}" }
}

module "key" {
  source = "../key"

  name        = "${var.name}-database"
  description = "The database ${var.name}: its storage, copies, master password, insights and logs"
  services = [{
    sid       = "LogsOfTheDatabase"
    principal = "logs.${local.region}.amazonaws.com"
    conditions = {
      StringLike = { "kms:EncryptionContext:aws:logs:arn" = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/rds/instance/${var.name}/*"] }
    }
  }]
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338:Ninety days are enough to look back; a year of logs would name what people deleted long ago.
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key.arn
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "PostgreSQL, for the cluster's nodes alone"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-database" }
}

# Pods share the nodes' group; which of them get as far as here is said by the cluster's network policies.
# There is no rule for the other direction: a database calls nobody.
resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from the cluster's nodes"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = var.node_security_group_id
}

resource "aws_db_parameter_group" "this" {
  name        = "${var.name}-postgres17"
  family      = "postgres17"
  description = "speakr: TLS alone, and logs without what was said"

  # "1" is RDS's own default too, and what is as it was is noted as "pending-reboot": said otherwise, each plan would
  # change it again.
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "pending-reboot"
  }

  parameter {
    name         = "shared_preload_libraries"
    value        = "pg_stat_statements"
    apply_method = "pending-reboot"
  }

  # Who came, who was refused, what was slow …
  parameter {
    name  = "log_connections"
    value = "1"
  }

  parameter {
    name  = "log_disconnections"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_lock_waits"
    value = "1"
  }

  # … but never the values of a statement: they are texts that people said, and what they look for.
  parameter {
    name  = "log_parameter_max_length"
    value = "0"
  }

  parameter {
    name  = "log_parameter_max_length_on_error"
    value = "0"
  }

  # … nor passwords: deploy/postgres/roles.sql sets them by ALTER ROLE, which "ddl" would log as it was sent.
  parameter {
    name  = "log_statement"
    value = "none"
  }

  # pg_stat_statements would keep the text of such a statement too, and Performance Insights shows it.
  parameter {
    name  = "pg_stat_statements.track_utility"
    value = "0"
  }
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EnhancedMonitoring"
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:rds:${local.region}:${local.account}:db:${var.name}" }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class
  db_name        = "speakr"

  # The master's password is made, kept and turned over by RDS: it is in no state and no plan. No
  # service uses it; deploy/postgres/roles.sql makes the roles that they use.
  username                      = "speakr_master"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = module.key.arn

  storage_type          = "gp3"
  allocated_storage     = var.storage_gb
  max_allocated_storage = var.max_storage_gb
  storage_encrypted     = true
  kms_key_id            = module.key.arn

  multi_az               = var.multi_az
  publicly_accessible    = false
  port                   = 5432
  db_subnet_group_name   = var.subnet_group
  vpc_security_group_ids = [aws_security_group.this.id]
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  parameter_group_name        = aws_db_parameter_group.this.name
  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = false
  apply_immediately           = false
  maintenance_window          = "sun:02:00-sun:03:00"

  # Any moment of that time can be gone back to. Longer would keep what was deleted (docs/runbook.md).
  backup_retention_period   = var.backup_retention_days
  backup_window             = "00:30-01:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final"

  iam_database_authentication_enabled = true

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = module.key.arn
  performance_insights_retention_period = var.insights_retention_days
  database_insights_mode                = var.insights_retention_days >= 465 ? "advanced" : "standard"
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = sort(keys(local.log_groups))

  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy_attachment.monitoring,
  ]
}
