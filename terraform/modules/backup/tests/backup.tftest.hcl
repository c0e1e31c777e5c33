mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name                    = "speakr-test"
  database_arn            = "arn:aws:rds:eu-central-1:123456789012:db:speakr-test"
  bucket_arn              = "arn:aws:s3:::speakr-test-recordings"
  lock                    = true
  administrator_role_arns = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
  alarm_topic_arn         = "arn:aws:sns:eu-central-1:123456789012:alarms"
}

run "copies_stay_their_time_and_no_longer" {
  command = plan

  assert {
    condition     = aws_backup_vault_lock_configuration.this[0].max_retention_days == 35 && aws_backup_vault_lock_configuration.this[0].changeable_for_days == 14
    error_message = "The vault isn't locked, or keeps what people deleted."
  }

  assert {
    condition     = alltrue([for plan in [aws_backup_plan.this, aws_backup_plan.bucket] : alltrue([for rule in plan.rule : rule.lifecycle[0].delete_after == 35])])
    error_message = "Copies run out at another time than 35 days."
  }

  # AWS Backup would quarrel with RDS about the database's own copies.
  assert {
    condition     = !coalesce(one(aws_backup_plan.this.rule).enable_continuous_backup, false) && one(aws_backup_plan.bucket.rule).enable_continuous_backup
    error_message = "The database's copies are continuous here, or the bucket's aren't."
  }

  assert {
    condition     = aws_backup_selection.database.resources == toset([var.database_arn]) && aws_backup_selection.bucket.resources == toset([var.bucket_arn])
    error_message = "The database or the bucket isn't copied."
  }

  assert {
    condition     = one(one(aws_backup_selection.volumes.condition).string_equals).key == "aws:ResourceTag/speakr-backup"
    error_message = "All volumes of the account are copied, or none."
  }

  assert {
    condition     = jsondecode(aws_backup_vault_policy.this.policy).Statement[0].Effect == "Deny" && contains(jsondecode(aws_backup_vault_policy.this.policy).Statement[0].Action, "backup:DeleteRecoveryPoint")
    error_message = "Whoever can delete the database can delete its copies."
  }

  # … nor what says so.
  assert {
    condition     = length(setsubtract(["backup:DeleteBackupVaultAccessPolicy", "backup:PutBackupVaultAccessPolicy"], jsondecode(aws_backup_vault_policy.this.policy).Statement[0].Action)) == 0
    error_message = "Whoever can take the vault's policy away can delete the copies then."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.failed.threshold == 0 && aws_cloudwatch_metric_alarm.missing.treat_missing_data == "breaching" &&
      alltrue([for alarm in [aws_cloudwatch_metric_alarm.failed, aws_cloudwatch_metric_alarm.missing] : contains(alarm.alarm_actions, var.alarm_topic_arn)])
    )
    error_message = "That a backup failed, or that none was made, is told to nobody."
  }
}

run "no_lock_where_none_is_wanted" {
  command = plan

  variables {
    lock = false
  }

  assert {
    condition     = length(aws_backup_vault_lock_configuration.this) == 0
    error_message = "A vault that is to be taken down again is locked for good."
  }
}

run "longer_than_what_was_promised_is_refused" {
  command = plan

  variables {
    retention_days          = 365
    administrator_role_arns = {}
  }

  expect_failures = [var.retention_days, var.administrator_role_arns]
}

run "copies_that_everybody_may_delete_are_refused" {
  command = plan

  variables {
    administrator_role_arns = { everybody = "arn:aws:iam::123456789012:role/*" }
    bucket_arn              = "arn:aws:s3:::*"
    alarm_topic_arn         = "alarms"
  }

  expect_failures = [var.administrator_role_arns, var.bucket_arn, var.alarm_topic_arn]
}
