# Streams that fill, letters that die and replicas that lag are Prometheus's to see (k8s/monitoring/).
# Here is what would also stop Prometheus from seeing it.

resource "aws_cloudwatch_metric_alarm" "servers" {
  count = local.in_cluster ? 1 : 0

  alarm_name          = "${var.name}-bus-servers"
  alarm_description   = "A server of the bus is away: with two it goes on, with one it takes nothing in. See docs/runbook.md."
  namespace           = "ContainerInsights"
  metric_name         = "service_number_of_running_pods"
  dimensions          = { ClusterName = var.cluster_name, Namespace = var.namespace, Service = "speakr-nats" }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "no_copies" {
  count = var.copies_every_hours == null ? 0 : 1

  alarm_name        = "${var.name}-no-copies-of-streams"
  alarm_description = "No copy of the bus's streams was written in time. Look at the job of the service account speakr-streams-backup."
  namespace         = "AWS/S3"
  metric_name       = "PutRequests"
  dimensions        = { BucketName = aws_s3_bucket.streams.id, FilterId = aws_s3_bucket_metric.streams.name }
  statistic         = "Sum"
  # Twice the time, so that one that is late alarms nobody.
  period              = var.copies_every_hours * 2 * 3600
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
