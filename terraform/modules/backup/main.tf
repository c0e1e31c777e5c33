# Copies that whoever can delete the database or the bucket can't delete.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  managed   = "arn:${local.partition}:iam::aws:policy"
}

module "key" {
  source = "../key"

  name        = "${var.name}-backup"
  description = "Backups of the database, the bucket and the volumes of ${var.name}"
}

resource "aws_backup_vault" "this" {
  name        = var.name
  kms_key_arn = module.key.arn
}

# Nobody takes a copy away before its time; with the lock, not even who can change this.
resource "aws_backup_vault_policy" "this" {
  backup_vault_name = aws_backup_vault.this.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CopiesStay"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action = [
        "backup:DeleteBackupVaultAccessPolicy",
        "backup:DeleteRecoveryPoint",
        "backup:PutBackupVaultAccessPolicy",
        "backup:UpdateRecoveryPointLifecycle",
      ]
      # On "*": in a vault's policy that is what is in this vault.
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = values(var.administrator_role_arns) } }
    }]
  })
}

# Once the days to think it over are past, the lock can't be taken back by anybody, AWS included.
resource "aws_backup_vault_lock_configuration" "this" {
  count = var.lock ? 1 : 0

  backup_vault_name   = aws_backup_vault.this.name
  changeable_for_days = 14
  min_retention_days  = 7
  # Never longer either: what people delete has to be gone (docs/runbook.md).
  max_retention_days = 35
}

resource "aws_iam_role" "this" {
  name = "${var.name}-backup"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Backup"
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

# AWS's own policies: what a backup and a restore of each kind needs changes with AWS Backup.
resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset([
    "${local.managed}/service-role/AWSBackupServiceRolePolicyForBackup",
    "${local.managed}/service-role/AWSBackupServiceRolePolicyForRestores",
    "${local.managed}/AWSBackupServiceRolePolicyForS3Backup",
    "${local.managed}/AWSBackupServiceRolePolicyForS3Restore",
  ])

  role       = aws_iam_role.this.name
  policy_arn = each.value
}

resource "aws_backup_plan" "this" {
  name = var.name

  # The database goes back to any moment by itself (RDS); these are whole copies that a deleted
  # instance doesn't take with it. Not continuous: AWS Backup would take the instance's own copies
  # over, and the two would quarrel about their retention.
  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(30 3 * * ? *)"
    start_window      = 60
    completion_window = 360

    lifecycle {
      delete_after = var.retention_days
    }
  }
}

resource "aws_backup_plan" "bucket" {
  name = "${var.name}-bucket"

  # Any moment of the last 35 days.
  rule {
    rule_name                = "continuous"
    target_vault_name        = aws_backup_vault.this.name
    schedule                 = "cron(0 4 * * ? *)"
    start_window             = 60
    completion_window        = 720
    enable_continuous_backup = true

    lifecycle {
      delete_after = var.retention_days
    }
  }
}

resource "aws_backup_selection" "database" {
  name         = "database"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = [var.database_arn]
}

resource "aws_backup_selection" "bucket" {
  name         = "bucket"
  plan_id      = aws_backup_plan.bucket.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = [var.bucket_arn]
}

# Volumes of the bus: the storage class tags them so.
resource "aws_backup_selection" "volumes" {
  name         = "volumes"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = ["arn:${local.partition}:ec2:*:${local.account}:volume/*"]

  condition {
    string_equals {
      key   = "aws:ResourceTag/speakr-backup"
      value = var.name
    }
  }
}

# A job that fails, and a day without one that succeeded: the first says what is wrong, the second also
# that nothing runs at all.
resource "aws_cloudwatch_metric_alarm" "failed" {
  alarm_name          = "${var.name}-backup-failed"
  alarm_description   = "A backup failed. aws backup list-backup-jobs --by-state FAILED says which, and why; start it again by hand."
  namespace           = "AWS/Backup"
  metric_name         = "NumberOfBackupJobsFailed"
  dimensions          = { BackupVaultName = aws_backup_vault.this.name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "missing" {
  alarm_name          = "${var.name}-no-backup"
  alarm_description   = "No backup succeeded for a day; database, bucket and volumes are due each night. Look at the plan and its role in AWS Backup."
  namespace           = "AWS/Backup"
  metric_name         = "NumberOfBackupJobsCompleted"
  dimensions          = { BackupVaultName = aws_backup_vault.this.name }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
