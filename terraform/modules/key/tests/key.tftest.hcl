mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name        = "speakr-test"
  description = "Whatever the test needs"
}

run "nobody_but_the_account_and_named_services_may_use_it" {
  command = plan

  variables {
    services = [{
      sid        = "Logs"
      principal  = "logs.eu-central-1.amazonaws.com"
      conditions = { StringEquals = { "aws:SourceAccount" = ["123456789012"] } }
    }]
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "The key isn't rotated, or its deletion can't be taken back for as long as AWS allows."
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : statement.Principal] == [
      { AWS = "arn:aws:iam::123456789012:root" },
      { Service = "logs.eu-central-1.amazonaws.com" },
    ]
    error_message = "Others than the account and the service may use the key."
  }

  assert {
    condition     = jsondecode(output.policy).Statement[1].Condition.StringEquals["aws:SourceAccount"] == ["123456789012"]
    error_message = "The service isn't bound to this account."
  }

  assert {
    condition     = jsondecode(output.policy).Statement[1].Action == ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    error_message = "A service may do more with the key than use it, or not enough to use it."
  }
}

run "a_service_without_a_condition_is_refused" {
  command = plan

  variables {
    services = [{
      sid        = "Anybody"
      principal  = "logs.eu-central-1.amazonaws.com"
      conditions = {}
    }]
  }

  expect_failures = [var.services]
}

run "a_region_that_there_is_not_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}
