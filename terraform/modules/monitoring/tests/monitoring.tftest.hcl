mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name                       = "speakr-test"
  environment                = "dev"
  cluster_name               = "speakr-test"
  database_identifier        = "speakr-test"
  database_storage_gb        = 100
  database_connections_alarm = 150
  bucket                     = "speakr-test-recordings"
  bucket_metric_filter       = "all"
  nat_gateway_ids            = { eu-central-1a = "nat-a" }
  alarm_emails               = ["alarms@example.org"]
  monthly_budget_usd         = 900
}

run "whoever_has_to_know_is_told" {
  command = plan

  assert {
    condition = length(aws_cloudwatch_metric_alarm.this) == 9 && alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) :
      toset(alarm.alarm_actions) == toset([aws_sns_topic.alarms.arn]) && length(alarm.alarm_description) > 60
    ])
    error_message = "An alarm goes nowhere, or doesn't say what to do."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-storage"].threshold == 10 * 1024 * 1024 * 1024
    error_message = "Storage that runs out is told at another size than a tenth."
  }

  assert {
    condition = alltrue([for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement :
      statement.Effect == "Deny" || try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "123456789012"
    ])
    error_message = "Services of other accounts may send alarms."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 1 && aws_sns_topic.alarms.kms_master_key_id != null
    error_message = "Nobody gets alarms, or they aren't encrypted."
  }

  # ---- Prometheus

  assert {
    condition     = length(yamldecode(aws_prometheus_rule_group_namespace.speakr.data).groups) >= 1
    error_message = "Prometheus gets no rules."
  }

  assert {
    condition = alltrue(flatten([for group in yamldecode(aws_prometheus_rule_group_namespace.speakr.data).groups : [for rule in group.rules :
      try(rule.record, "") != "" || (can(rule.labels.severity) && can(rule.annotations.summary))
    ]]))
    error_message = "A rule has no severity, or no summary."
  }

  # What a mail shows: whatever its template names is there in every rule, and what to do next is among it.
  assert {
    condition = alltrue(flatten([for rule in flatten(yamldecode(aws_prometheus_rule_group_namespace.speakr.data).groups[*].rules) :
      [for shown in regexall("\\.Annotations\\.([a-z_]+)", one(one(yamldecode(yamldecode(output.alertmanager).alertmanager_config).receivers).sns_configs).message) :
        try(length(rule.annotations[shown[0]]) > 10, false)
      ]
    ]))
    error_message = "A mail shows something of an alert that not every alert has."
  }

  assert {
    condition = toset(flatten(regexall("\\.Annotations\\.([a-z_]+)",
    one(one(yamldecode(yamldecode(output.alertmanager).alertmanager_config).receivers).sns_configs).message))) == toset(["summary", "description", "runbook"])
    error_message = "A mail doesn't say what it means, or what to do next."
  }

  assert {
    condition     = one(one(yamldecode(yamldecode(output.alertmanager).alertmanager_config).receivers).sns_configs).topic_arn == aws_sns_topic.alarms.arn
    error_message = "Prometheus's alerts go elsewhere."
  }

  assert {
    condition     = output.remote_write_url == "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-mock/api/v1/remote_write"
    error_message = "The collector is sent elsewhere."
  }

  # ---- logs, costs, dashboards

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.containers), [aws_cloudwatch_log_group.prometheus]) : group.retention_in_days == 90 && group.kms_key_id != null])
    error_message = "Logs are kept for ever, or aren't encrypted."
  }

  # The cluster's add-on waits for these.
  assert {
    condition     = toset(output.container_log_groups) == toset([for kind in ["application", "dataplane", "host", "performance"] : "/aws/containerinsights/speakr-test/${kind}"])
    error_message = "Container Insights writes to a log group that isn't made here."
  }

  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:environment$dev"]) && length(aws_budgets_budget.this.notification) == 2
    error_message = "The budget counts other environments, or tells nobody."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 6
    error_message = "The dashboard can't be read."
  }
}

run "alarms_without_anybody_are_refused" {
  command = plan

  variables {
    alarm_emails       = []
    monthly_budget_usd = 1
  }

  expect_failures = [var.alarm_emails, var.monthly_budget_usd]
}

run "alarms_that_would_look_at_nothing_are_refused" {
  command = plan

  variables {
    environment         = "production"
    database_identifier = "arn:aws:rds:eu-central-1:123456789012:db:speakr-test"
    bucket              = "arn:aws:s3:::speakr-test-recordings"
    nat_gateway_ids     = {}
  }

  expect_failures = [var.environment, var.database_identifier, var.bucket, var.nat_gateway_ids]
}
