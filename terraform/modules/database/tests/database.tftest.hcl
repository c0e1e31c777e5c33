mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name                   = "speakr-test"
  instance_class         = "db.m7g.large"
  storage_gb             = 100
  max_storage_gb         = 500
  multi_az               = true
  vpc_id                 = "vpc-test"
  subnet_group           = "speakr-test"
  node_security_group_id = "sg-nodes"
  deletion_protection    = true
}

run "only_the_nodes_reach_it_by_tls_and_nothing_is_lost" {
  command = plan

  assert {
    condition     = !aws_db_instance.this.publicly_accessible
    error_message = "The database has a public address."
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.nodes.referenced_security_group_id == "sg-nodes" &&
      aws_vpc_security_group_ingress_rule.nodes.cidr_ipv4 == null &&
      aws_vpc_security_group_ingress_rule.nodes.from_port == 5432 && aws_vpc_security_group_ingress_rule.nodes.to_port == 5432
    )
    error_message = "Others than the cluster's nodes reach the database, or other ports."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "The database takes connections without TLS."
  }

  assert {
    condition     = toset([for parameter in aws_db_parameter_group.this.parameter : parameter.name if parameter.apply_method == "pending-reboot"]) == toset(["rds.force_ssl", "shared_preload_libraries"])
    error_message = "Each plan would change a parameter again, or one that can change at once waits for a restart."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "log_parameter_max_length=0")
    error_message = "What people said would stand in the database's log."
  }

  # roles.sql has them in its text.
  assert {
    condition = length(setsubtract(
      ["log_statement=none", "pg_stat_statements.track_utility=0"],
      [for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"],
    )) == 0
    error_message = "Passwords of the roles would stand in the log, or among the statistics of statements."
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == module.key.arn && aws_db_instance.this.performance_insights_kms_key_id == module.key.arn
    error_message = "Storage or insights aren't encrypted with the database's key."
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "The master's password would stand in the state."
  }

  assert {
    condition     = aws_db_instance.this.iam_database_authentication_enabled
    error_message = "People need a password of the database's, which nobody takes back."
  }

  assert {
    condition = (
      aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.performance_insights_retention_period == 7 &&
      aws_db_instance.this.database_insights_mode == "standard" && aws_db_instance.this.monitoring_interval == 60
    )
    error_message = "Nobody sees which statement is slow, or it is paid for unasked."
  }

  # ---- what is lost can be got back

  assert {
    condition     = aws_db_instance.this.backup_retention_period == 35 && !aws_db_instance.this.delete_automated_backups
    error_message = "It can't be gone back for 35 days, or not when the instance is deleted."
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.multi_az
    error_message = "The database can be deleted at once, or without a last copy, or stands in one zone."
  }

  assert {
    condition     = join(" ", aws_db_instance.this.enabled_cloudwatch_logs_exports) == "postgresql upgrade" && alltrue([for group in values(aws_cloudwatch_log_group.this) : group.kms_key_id != null])
    error_message = "Logs stay in the instance, or aren't encrypted."
  }

  assert {
    condition     = aws_db_instance.this.engine == "postgres" && aws_db_parameter_group.this.family == "postgres17" && !aws_db_instance.this.allow_major_version_upgrade
    error_message = "It isn't PostgreSQL 17, or becomes 18 by itself."
  }
}

run "what_has_no_pgvector_or_no_room_is_refused" {
  command = plan

  variables {
    engine_version        = "17.0"
    instance_class        = "db.t2.micro"
    max_storage_gb        = 100
    backup_retention_days = 1
  }

  expect_failures = [var.engine_version, var.instance_class, var.max_storage_gb, var.backup_retention_days]
}

run "subnets_that_are_open_to_the_internet_and_what_is_no_id_are_refused" {
  command = plan

  variables {
    vpc_id                 = "speakr-test"
    subnet_group           = "default"
    node_security_group_id = "arn:aws:ec2:eu-central-1:123456789012:security-group/sg-nodes"
  }

  expect_failures = [var.vpc_id, var.subnet_group, var.node_security_group_id]
}
