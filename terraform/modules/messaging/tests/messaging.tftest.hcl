mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name                   = "speakr-test"
  cluster_name           = "speakr-test"
  log_bucket             = "logs"
  alarm_topic_arn        = "arn:aws:sns:eu-central-1:123456789012:alarms"
  credential_secret_arns = { nats-transcriber = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mock" }
}

run "in_the_cluster_it_has_a_key_a_bucket_and_an_alarm" {
  command = plan

  assert {
    condition     = output.nats_url == "tls://speakr-nats.speakr.svc.cluster.local:4222"
    error_message = "The services are sent elsewhere, or without TLS."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.servers[0].threshold == 3 && aws_cloudwatch_metric_alarm.servers[0].treat_missing_data == "breaching"
    error_message = "A server that is away alarms nobody."
  }

  assert {
    condition     = length(aws_secretsmanager_secret_version.hosted) == 0 && length(aws_cloudwatch_metric_alarm.no_copies) == 0
    error_message = "Something of a hosted bus is there, or an alarm about copies that no job makes."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.streams.rule[0].expiration[0].days == 35 && aws_s3_bucket_public_access_block.streams.restrict_public_buckets
    error_message = "Copies of what people said are kept longer than other backups, or could be public."
  }
}

run "hosted_it_takes_credentials_that_no_state_has" {
  command = plan

  variables {
    mode               = "hosted"
    hosted_url         = "tls://bus.example.org:4222"
    hosted_credentials = { nats-transcriber = "the file" }
    copies_every_hours = 1
  }

  assert {
    condition     = output.nats_url == "tls://bus.example.org:4222" && length(aws_cloudwatch_metric_alarm.servers) == 0
    error_message = "The services aren't sent to the hosted bus, or its servers are looked for in the cluster."
  }

  assert {
    condition     = aws_secretsmanager_secret_version.hosted["nats-transcriber"].secret_string == null && aws_secretsmanager_secret_version.hosted["nats-transcriber"].secret_string_wo_version == 1
    error_message = "The credentials would stand in the state."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.no_copies[0].period == 7200 && aws_cloudwatch_metric_alarm.no_copies[0].treat_missing_data == "breaching"
    error_message = "That no copy comes is told to nobody, or too late."
  }
}

run "a_bus_in_plain_text_and_one_without_credentials_are_refused" {
  command = plan

  variables {
    mode       = "hosted"
    hosted_url = "nats://bus.example.org:4222"
  }

  expect_failures = [var.hosted_url, var.hosted_credentials]
}

run "alarms_to_nobody_and_empty_credentials_are_refused" {
  command = plan

  variables {
    mode                       = "hosted"
    hosted_url                 = "tls://bus.example.org:4222"
    hosted_credentials         = { nats-transcriber = "" }
    hosted_credentials_version = 0
    log_bucket                 = "arn:aws:s3:::logs"
    alarm_topic_arn            = "alarms"
  }

  expect_failures = [var.hosted_credentials, var.hosted_credentials_version, var.log_bucket, var.alarm_topic_arn]
}

run "entries_of_the_vault_by_a_pattern_are_refused" {
  command = plan

  variables {
    credential_secret_arns = { nats-transcriber = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*" }
  }

  expect_failures = [var.credential_secret_arns]
}
