mock_provider "aws" {
  source          = "../testing"
  override_during = plan
}

variables {
  account_id        = "123456789012"
  region            = "eu-central-1"
  github_repository = "example/speakr"
  state_role_arns   = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
}

run "states_are_kept_encrypted_and_to_their_administrators" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled" && one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "A state that was overwritten is lost, or isn't encrypted with its key."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.state.restrict_public_buckets && aws_s3_bucket_public_access_block.state.block_public_policy
    error_message = "States could be made public."
  }

  assert {
    condition     = jsondecode(output.state_policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false" && jsondecode(output.state_policy).Statement[0].Effect == "Deny"
    error_message = "States are given without TLS."
  }

  assert {
    condition = toset(jsondecode(output.state_policy).Statement[1].Condition.ArnNotLike["aws:PrincipalArn"]) == toset([
      "arn:aws:iam::123456789012:role/infrastructure", "arn:aws:iam::123456789012:root",
    ])
    error_message = "Others than the administrators read states."
  }

  # ---- traces

  assert {
    condition = toset(one([for statement in jsondecode(module.trace_key.policy).Statement : statement if statement.Sid == "LogsOfTraces"]).Condition.StringEquals["kms:EncryptionContext:aws:logs:arn"]) == toset([
      for resource in jsondecode(aws_cloudwatch_log_resource_policy.traces.policy_document).Statement[0].Resource : trimsuffix(resource, ":*")
    ])
    error_message = "The key of traces is for other groups than those that X-Ray writes to."
  }

  # ---- GitHub

  assert {
    condition     = aws_iam_openid_connect_provider.github.url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github.client_id_list == toset(["sts.amazonaws.com"])
    error_message = "Tokens of another issuer, or for somebody else, are taken."
  }

  assert {
    condition     = length(output.repository_urls) >= 7
    error_message = "Images have no repositories."
  }

  # Backends: a lock in the bucket, and a key of its own for each root.
  assert {
    condition = alltrue([for place, key in {
      "../environments/dev"     = "speakr/dev/terraform.tfstate"
      "../environments/staging" = "speakr/staging/terraform.tfstate"
      "../environments/prod"    = "speakr/prod/terraform.tfstate"
      "./after-first-apply"     = "speakr/bootstrap/terraform.tfstate"
    } : can(regex("key +=  *\"${key}\"\n +use_lockfile = true\n +encrypt +=  *true", file("${path.module}/${place}/backend.tf")))])
    error_message = "A root shares its state with another, or takes no lock."
  }
}

run "states_for_everybody_are_refused" {
  command = plan

  variables {
    account_id      = "1"
    state_role_arns = { everybody = "arn:aws:iam::123456789012:role/*" }
  }

  expect_failures = [var.account_id, var.state_role_arns]
}

run "any_repository_and_any_account_are_refused" {
  command = plan

  variables {
    github_repository = "example/*"
    pull_account_ids  = ["*"]
  }

  expect_failures = [var.github_repository, var.pull_account_ids]
}
