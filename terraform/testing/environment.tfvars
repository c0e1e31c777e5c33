# What an account's own values look like, for tests: nothing of it exists.
account_id            = "123456789012"
region                = "eu-central-1"
github_repository     = "example/speakr"
github_connection_arn = "arn:aws:codeconnections:eu-central-1:123456789012:connection/00000000-0000-0000-0000-000000000000"
admin_role_arns       = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
operator_role_arns    = { on-call = "arn:aws:iam::123456789012:role/on-call" }
alarm_emails          = ["alarms@example.org"]
hostnames             = { api = "speakr.example.org", bus = "bus.speakr.example.org" }
