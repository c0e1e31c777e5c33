mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

run "tags_stay_but_for_latest_and_only_named_accounts_pull" {
  command = plan

  variables {
    pull_account_ids = ["210987654321"]
  }

  assert {
    condition = length(setsubtract(
      flatten([for file in ["images.nix", "part-images.nix"] : regexall("(?m)^ +name = \"(speakr-[a-z0-9-]+)\";", file("${path.module}/../../../nix/${file}"))]),
      keys(aws_ecr_repository.this),
    )) == 0
    error_message = "An image of the flake has no repository."
  }

  assert {
    condition = alltrue([for repository in values(aws_ecr_repository.this) :
      repository.image_tag_mutability == "IMMUTABLE_WITH_EXCLUSION" && [for filter in repository.image_tag_mutability_exclusion_filter : filter.filter] == ["latest"]
    ])
    error_message = "A version can be pushed over, or latest can't be moved."
  }

  assert {
    condition     = alltrue([for repository in values(aws_ecr_repository.this) : repository.image_scanning_configuration[0].scan_on_push && !repository.force_delete])
    error_message = "Images aren't scanned, or go with their repository."
  }

  assert {
    condition = alltrue([for policy in values(aws_ecr_repository_policy.this) :
      jsondecode(policy.policy).Statement[0].Principal.AWS == ["arn:aws:iam::210987654321:root"] &&
      !anytrue([for action in jsondecode(policy.policy).Statement[0].Action : strcontains(action, "Put") || strcontains(action, "Upload")])
    ])
    error_message = "Other accounts may pull that aren't named, or push."
  }

  assert {
    condition     = !anytrue([for rule in jsondecode(aws_ecr_lifecycle_policy.this["speakr-nats"].policy).rules : rule.selection.tagStatus == "any" || anytrue([for pattern in try(rule.selection.tagPatternList, []) : startswith(pattern, "v")])])
    error_message = "Versions go away by themselves, and with them the way back."
  }
}

run "wrong_accounts_are_refused" {
  command = plan

  variables {
    pull_account_ids = ["*"]
  }

  expect_failures = [var.pull_account_ids]
}
