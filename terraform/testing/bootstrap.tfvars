# What an account's own values look like, for tests: nothing of it exists.
account_id        = "123456789012"
region            = "eu-central-1"
github_repository = "example/speakr"
state_role_arns   = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
