# What tells somebody when something is wrong, and what he then looks at.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  logs_arn  = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"

  # AWS's own names for what Container Insights writes.
  container_logs   = { for kind in ["application", "dataplane", "host", "performance"] : kind => "/aws/containerinsights/${var.cluster_name}/${kind}" }
  prometheus_log   = "/aws/vendedlogs/prometheus/${var.name}"
  alarm_publishers = ["cloudwatch.amazonaws.com", "aps.amazonaws.com", "budgets.amazonaws.com", "events.rds.amazonaws.com"]
}

module "log_key" {
  source = "../key"

  name        = "${var.name}-logs"
  description = "Logs of the containers, the runner and Prometheus of ${var.name}"
  services = [{
    sid       = "LogsOfThisEnvironment"
    principal = "logs.${local.region}.amazonaws.com"
    conditions = {
      StringLike = {
        "kms:EncryptionContext:aws:logs:arn" = [
          "${local.logs_arn}:/aws/containerinsights/${var.cluster_name}/*",
          "${local.logs_arn}:${local.prometheus_log}",
          "${local.logs_arn}:/speakr/${var.name}/*",
        ]
      }
    }
  }]
}

# Made before anything writes there: groups that AWS makes are kept for ever, with its own key.
resource "aws_cloudwatch_log_group" "containers" {
  # checkov:skip=CKV_AWS_338:Ninety days are enough to look back; a year of logs would name what people deleted long ago.
  for_each = local.container_logs

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = module.log_key.arn
}

resource "aws_cloudwatch_log_group" "prometheus" {
  # checkov:skip=CKV_AWS_338:Ninety days are enough to look back; a year of logs would name what people deleted long ago.
  name              = local.prometheus_log
  retention_in_days = var.log_retention_days
  kms_key_id        = module.log_key.arn
}

# ---- where alarms go

module "alarm_key" {
  source = "../key"

  name        = "${var.name}-alarms"
  description = "Alarms of ${var.name} on their way to people"
  services = [for publisher in local.alarm_publishers : {
    sid        = "AlarmsOf${replace(title(replace(trimsuffix(publisher, ".amazonaws.com"), ".", " ")), " ", "")}"
    principal  = publisher
    actions    = ["kms:Decrypt", "kms:GenerateDataKey*"]
    conditions = { StringEquals = { "aws:SourceAccount" = [local.account] } }
  }]
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = module.alarm_key.arn
}

locals {
  topic_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [for publisher in local.alarm_publishers : {
        Sid       = "AlarmsOf${replace(title(replace(trimsuffix(publisher, ".amazonaws.com"), ".", " ")), " ", "")}"
        Effect    = "Allow"
        Principal = { Service = publisher }
        Action    = publisher == "aps.amazonaws.com" ? ["sns:GetTopicAttributes", "sns:Publish"] : ["sns:Publish"]
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      }],
      [{
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    )
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = jsonencode(local.topic_policy)
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

# ---- Prometheus: what the services measure

resource "aws_prometheus_workspace" "this" {
  alias       = var.name
  kms_key_arn = module.log_key.arn

  logging_configuration {
    log_group_arn = "${aws_cloudwatch_log_group.prometheus.arn}:*"
  }
}

resource "aws_prometheus_workspace_configuration" "this" {
  workspace_id             = aws_prometheus_workspace.this.id
  retention_period_in_days = var.metrics_retention_days
}

# The rules lie beside the manifests, where tests of Prometheus's own read them too.
resource "aws_prometheus_rule_group_namespace" "speakr" {
  workspace_id = aws_prometheus_workspace.this.id
  name         = "speakr"
  data         = file(local.alerts_path)
}

resource "aws_prometheus_alert_manager_definition" "this" {
  workspace_id = aws_prometheus_workspace.this.id
  definition   = local.alertmanager
}

locals {
  alerts_path = "${path.module}/../../../k8s/monitoring/alerts.yaml"

  # YAML in YAML: AWS wants Alertmanager's file as one value.
  alertmanager = yamlencode({
    alertmanager_config = yamlencode({
      route = {
        receiver        = "people"
        group_by        = ["alertname"]
        group_wait      = "30s"
        group_interval  = "5m"
        repeat_interval = "4h"
        routes          = [{ matchers = ["severity=\"page\""], receiver = "people", repeat_interval = "1h" }]
      }
      receivers = [{
        name = "people"
        sns_configs = [{
          topic_arn     = aws_sns_topic.alarms.arn
          sigv4         = { region = local.region }
          send_resolved = true
          subject       = "[${var.name}] {{ .CommonLabels.alertname }}"
          # Every alert has these; a name that none has would leave an empty line.
          message = "{{ range .Alerts }}{{ .Status }}: {{ .Annotations.summary }}\n{{ .Annotations.description }}\nWhat to do: {{ .Annotations.runbook }}\n\n{{ end }}"
        }]
      }]
    })
  })
}

# ---- what it costs

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"

  # The tag has to be switched on for costs once (docs/operations.md).
  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:environment", var.environment])]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      comparison_operator       = "GREATER_THAN"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  depends_on = [aws_sns_topic_policy.alarms]
}

# ---- what one looks at

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = templatefile("${path.module}/dashboards/platform.json.tftpl", {
    region        = local.region
    database      = var.database_identifier
    cluster       = var.cluster_name
    bucket        = var.bucket
    bucket_filter = var.bucket_metric_filter
    log_group     = local.container_logs["application"]
  })
}
