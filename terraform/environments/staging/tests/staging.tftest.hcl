mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  account_id        = "123456789012"
  region            = "eu-central-1"
  github_repository = "example/speakr"
  admin_role_arns   = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
  alarm_emails      = ["alarms@example.org"]
}

run "its_numbers_are_those_of_staging" {
  command = plan

  # Nobody deletes it by mistake, and it can still be taken down.
  assert {
    condition     = local.deletion_protection && !local.backup_lock
    error_message = "It can be deleted by mistake, or its backups are locked for good."
  }

  assert {
    condition     = output.cluster_name == "speakr-staging" && output.environment["ENVIRONMENT"] == "staging"
    error_message = "It is another environment."
  }

  # What the manifests already know of it is true. (They don't, before they are there.)
  assert {
    condition = !fileexists("${path.module}/../../../k8s/overlays/staging/environment/environment.env") ? true : alltrue([
      for line in regexall("(?m)^([A-Z0-9_]+)=(.*)$", file("${path.module}/../../../k8s/overlays/staging/environment/environment.env")) :
      contains(keys(output.environment), line[0]) && (line[1] == "unset" || line[1] == output.environment[line[0]])
    ])
    error_message = "k8s/overlays/staging says something else of this environment."
  }
}

run "what_would_open_it_to_others_is_refused" {
  command = plan

  variables {
    github_repository  = "example/*"
    admin_role_arns    = { everybody = "arn:aws:iam::123456789012:role/*" }
    operator_role_arns = { everybody = "*" }
    alarm_emails       = []
    hosted_nats_url    = "nats://bus.example.org:4222"
  }

  expect_failures = [var.github_repository, var.admin_role_arns, var.operator_role_arns, var.alarm_emails, var.hosted_nats_url]
}
