output "alarm_topic_arn" {
  description = "Where alarms go."
  # Not before it may be published to.
  value = aws_sns_topic_policy.alarms.arn
}

output "container_log_groups" {
  description = "Names of the log groups that Container Insights writes to."
  value       = [for group in aws_cloudwatch_log_group.containers : group.name]
}

output "log_key_arn" {
  description = "Key of log groups named /speakr/NAME/…."
  value       = module.log_key.arn
}

output "workspace_arn" {
  description = "ARN of the Prometheus workspace."
  value       = aws_prometheus_workspace.this.arn
}

output "remote_write_url" {
  description = "Where the collector sends metrics."
  value       = "${aws_prometheus_workspace.this.prometheus_endpoint}api/v1/remote_write"
}

output "alertmanager" {
  description = "Alertmanager's settings, as AWS gets them."
  value       = local.alertmanager
}

output "alarms" {
  description = "Names of the alarms, with what each says to do."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name => alarm.alarm_description }
}
