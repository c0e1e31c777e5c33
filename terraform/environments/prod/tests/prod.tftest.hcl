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

run "its_numbers_are_those_of_prod" {
  command = plan

  # A zone may fail.
  assert {
    condition     = local.nat_per_zone && local.endpoint_zones == 3 && local.database.multi_az
    error_message = "A zone that fails takes production with it."
  }

  assert {
    condition     = local.deletion_protection && local.backup_lock
    error_message = "Production or its backups can be deleted by mistake."
  }

  assert {
    condition     = local.node_groups.general.min_size >= 3 && local.node_groups.transcriber.min_size >= 2
    error_message = "One node that fails takes a service with it."
  }

  assert {
    condition     = output.cluster_name == "speakr-prod" && output.environment["ENVIRONMENT"] == "prod"
    error_message = "It is another environment."
  }

  # What the manifests already know of it is true. (They don't, before they are there.)
  assert {
    condition = !fileexists("${path.module}/../../../k8s/overlays/prod/environment/environment.env") ? true : alltrue([
      for line in regexall("(?m)^([A-Z0-9_]+)=(.*)$", file("${path.module}/../../../k8s/overlays/prod/environment/environment.env")) :
      contains(keys(output.environment), line[0]) && (line[1] == "unset" || line[1] == output.environment[line[0]])
    ])
    error_message = "k8s/overlays/prod says something else of this environment."
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
