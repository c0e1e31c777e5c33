mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name        = "speakr-test"
  environment = "dev"
  entries = {
    database-owner = { description = "The owner's URL", readers = ["speakr-migrate"] }
    nats-ca        = { description = "Who vouches", readers = ["speakr-embedder", "speakr-migrate"] }
  }
  reader_role_arns = {
    speakr-migrate  = "arn:aws:iam::123456789012:role/migrate"
    speakr-embedder = "arn:aws:iam::123456789012:role/embedder"
  }
}

run "each_is_read_by_whom_it_names_and_by_nobody_else" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.this["database-owner"].name == "speakr/dev/database-owner" && aws_secretsmanager_secret.this["database-owner"].kms_key_id == module.key.arn
    error_message = "The entry has another name than pods look for, or another key."
  }

  assert {
    condition = alltrue([for name, readers in {
      database-owner = ["arn:aws:iam::123456789012:role/migrate"]
      nats-ca        = ["arn:aws:iam::123456789012:role/embedder", "arn:aws:iam::123456789012:role/migrate"]
      } : alltrue([for statement in jsondecode(aws_secretsmanager_secret_policy.this[name].policy).Statement :
        statement.Effect == "Deny" && statement.Principal == "*" && statement.Condition.ArnNotEquals["aws:PrincipalArn"] == readers
    ])])
    error_message = "Others than the readers aren't refused."
  }

  assert {
    condition     = alltrue([for policy in values(aws_secretsmanager_secret_policy.this) : policy.block_public_policy])
    error_message = "A secret's policy could be made public."
  }
}

run "a_secret_without_readers_and_one_without_return_are_refused" {
  command = plan

  variables {
    entries                 = { anything = { description = "For nobody", readers = [] } }
    recovery_window_in_days = 0
  }

  expect_failures = [var.entries, var.recovery_window_in_days]
}

run "readers_by_a_pattern_and_readers_without_a_role_are_refused" {
  command = plan

  variables {
    reader_role_arns   = { speakr-migrate = "arn:aws:iam::123456789012:role/migrate" }
    operator_role_arns = { everybody = "arn:aws:iam::123456789012:role/*" }
  }

  expect_failures = [var.reader_role_arns, var.operator_role_arns]
}
