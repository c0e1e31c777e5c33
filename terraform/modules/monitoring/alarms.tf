# Alarms of what isn't speakr itself: its own are Prometheus's (k8s/monitoring/alerts.yaml).

locals {
  gib = 1024 * 1024 * 1024

  alarms = merge(
    {
      database-processor = {
        description = "The database's processors are busy all the time. Look at Performance Insights for the statement; then a larger class."
        namespace   = "AWS/RDS"
        metric      = "CPUUtilization"
        dimensions  = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Average"
        operator    = "GreaterThanThreshold"
        threshold   = 80
        minutes     = 15
      }
      database-storage = {
        description = "The database's storage runs out, and it isn't growing by itself any more. Raise max_storage_gb: a full database stops."
        namespace   = "AWS/RDS"
        metric      = "FreeStorageSpace"
        dimensions  = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Minimum"
        operator    = "LessThanThreshold"
        threshold   = var.database_storage_gb * local.gib / 10
        minutes     = 10
      }
      database-memory = {
        description = "The database has hardly any memory left: the index of vectors doesn't fit. A larger class."
        namespace   = "AWS/RDS"
        metric      = "FreeableMemory"
        dimensions  = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Average"
        operator    = "LessThanThreshold"
        threshold   = 128 * 1024 * 1024
        minutes     = 15
      }
      database-connections = {
        description = "Nearly all connections of the database are taken. Fewer replicas, a smaller DATABASE_CONNECTIONS, or a larger class."
        namespace   = "AWS/RDS"
        metric      = "DatabaseConnections"
        dimensions  = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Maximum"
        operator    = "GreaterThanThreshold"
        threshold   = var.database_connections_alarm
        minutes     = 5
      }
      cluster-nodes = {
        description = "A node has failed. EKS repairs it by itself within half an hour; when it doesn't, look at the node group."
        namespace   = "ContainerInsights"
        metric      = "cluster_failed_node_count"
        dimensions  = { ClusterName = var.cluster_name }
        statistic   = "Maximum"
        operator    = "GreaterThanThreshold"
        threshold   = 0
        minutes     = 10
      }
      cluster-disks = {
        description = "A node's disk fills: pods will be evicted. Look for sound that isn't taken away (emptyDir), then a larger disk_gb."
        namespace   = "ContainerInsights"
        metric      = "node_filesystem_utilization"
        dimensions  = { ClusterName = var.cluster_name }
        statistic   = "Maximum"
        operator    = "GreaterThanThreshold"
        threshold   = 85
        minutes     = 10
      }
      bucket-errors = {
        description = "S3 answers with errors of its own. The services wait and try again; look at AWS's health page."
        namespace   = "AWS/S3"
        metric      = "5xxErrors"
        dimensions  = { BucketName = var.bucket, FilterId = var.bucket_metric_filter }
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = 20
        minutes     = 10
      }
      bucket-refusals = {
        description = "Requests to the bucket are refused or wrong in numbers. Look at the access log: a role that lost a right, or somebody who tries."
        namespace   = "AWS/S3"
        metric      = "4xxErrors"
        dimensions  = { BucketName = var.bucket, FilterId = var.bucket_metric_filter }
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = 500
        minutes     = 10
      }
    },
    { for zone, id in var.nat_gateway_ids : "nat-${zone}" => {
      description = "The NAT gateway of ${zone} has no port left for new connections: something opens far too many."
      namespace   = "AWS/NATGateway"
      metric      = "ErrorPortAllocation"
      dimensions  = { NatGatewayId = id }
      statistic   = "Sum"
      operator    = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 5
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  # S3 and NAT say nothing when nothing happens; a database that says nothing has other alarms.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}

# What RDS itself has to tell: a failover, storage that is low, a failure.
resource "aws_db_event_subscription" "this" {
  name             = var.name
  sns_topic        = aws_sns_topic.alarms.arn
  source_type      = "db-instance"
  source_ids       = [var.database_identifier]
  event_categories = ["availability", "failover", "failure", "low storage", "recovery"]

  depends_on = [aws_sns_topic_policy.alarms]
}
