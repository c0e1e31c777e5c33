# What has to be there once in an account, before any environment: where Terraform keeps its state, who
# GitHub's jobs are, the registry, and what is the whole account's to say.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      environment = "shared"
      project     = "speakr"
      managed-by  = "terraform"
    }
  }
}

data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  bucket    = "speakr-state-${var.account_id}"
}

# ---- state

module "state_key" {
  source = "../modules/key"

  name        = "speakr-state"
  description = "Terraform's state of all environments"
}

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV_AWS_144:Versions keep every state; a region that is gone takes the resources with it too.
  # checkov:skip=CKV2_AWS_62:Nobody waits for a new state.
  bucket        = local.bucket
  force_destroy = false

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.state_key.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

locals {
  state_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # A state tells where everything is. Pods and jobs that deploy have no business here, whatever
        # somebody once allows them.
        Sid       = "AdministratorsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource  = "${aws_s3_bucket.state.arn}/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = concat(values(var.state_role_arns), ["arn:${local.partition}:iam::${var.account_id}:root"]) } }
      },
    ]
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = jsonencode(local.state_policy)

  depends_on = [aws_s3_bucket_public_access_block.state]
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  # Old states are kept for a year, and the last twenty always.
  rule {
    id     = "old-states"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = 365
      newer_noncurrent_versions = 20
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

# Who read and wrote states, in the same bucket's neighbour.
resource "aws_s3_bucket" "state_logs" {
  # checkov:skip=CKV_AWS_18:A log of the log's own bucket would grow by itself for ever.
  # checkov:skip=CKV_AWS_145:S3's log delivery writes with the store's own key (SSE-S3) alone.
  # checkov:skip=CKV_AWS_144:Logs are worth no second region.
  # checkov:skip=CKV2_AWS_62:Nobody waits for an access log.
  bucket        = "${local.bucket}-logs"
  force_destroy = false
}

resource "aws_s3_bucket_versioning" "state_logs" {
  bucket = aws_s3_bucket.state_logs.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state_logs" {
  bucket = aws_s3_bucket.state_logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state_logs" {
  bucket = aws_s3_bucket.state_logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "state_logs" {
  bucket = aws_s3_bucket.state_logs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.state_logs.arn, "${aws_s3_bucket.state_logs.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "LogsOfTheState"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.state_logs.arn}/*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account_id }
          ArnEquals    = { "aws:SourceArn" = aws_s3_bucket.state.arn }
        }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.state_logs]
}

resource "aws_s3_bucket_lifecycle_configuration" "state_logs" {
  bucket = aws_s3_bucket.state_logs.id

  rule {
    id     = "old-logs"
    status = "Enabled"
    filter {}

    expiration {
      days = 365
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state_logs]
}

resource "aws_s3_bucket_logging" "state" {
  bucket        = aws_s3_bucket.state.id
  target_bucket = aws_s3_bucket.state_logs.id
  target_prefix = "state/"

  depends_on = [aws_s3_bucket_policy.state_logs]
}

# ---- GitHub

# AWS checks GitHub's certificate by its own roots of trust: there is no thumbprint to go stale.
resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

# For the runner inside the network. It is "pending" until somebody allows it on GitHub
# (docs/operations.md).
resource "aws_codeconnections_connection" "github" {
  name          = "speakr-github"
  provider_type = "GitHub"
}

module "registry" {
  source = "../modules/registry"

  pull_account_ids = var.pull_account_ids
}

module "publish" {
  source = "../modules/deploy_access"

  github_repository = var.github_repository
  repository_arns   = values(module.registry.repository_arns)
  publish           = { environment = "release" }

  depends_on = [aws_iam_openid_connect_provider.github]
}

# ---- what is the whole account's

# Disks that somebody makes by hand are encrypted too.
resource "aws_ebs_encryption_by_default" "this" {
  enabled = true
}

resource "aws_s3_account_public_access_block" "this" {
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Traces that come over OTLP are kept as logs: X-Ray takes them in that way alone.
resource "aws_cloudwatch_log_resource_policy" "traces" {
  policy_name = "speakr-traces"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TracesOfXray"
      Effect    = "Allow"
      Principal = { Service = "xray.amazonaws.com" }
      Action    = "logs:PutLogEvents"
      Resource = [
        "arn:${local.partition}:logs:${var.region}:${var.account_id}:log-group:/aws/application-signals/data:*",
        "arn:${local.partition}:logs:${var.region}:${var.account_id}:log-group:aws/spans:*",
      ]
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:xray:${var.region}:${var.account_id}:*" }
      }
    }]
  })
}

# For the two groups that AWS makes for them, whose names nobody else may give: they get this key and an end by
# hand, once (docs/operations.md).
module "trace_key" {
  source = "../modules/key"

  name        = "speakr-traces"
  description = "Traces of all environments"
  services = [{
    sid       = "LogsOfTraces"
    principal = "logs.${var.region}.amazonaws.com"
    conditions = {
      StringEquals = {
        "kms:EncryptionContext:aws:logs:arn" = [
          "arn:${local.partition}:logs:${var.region}:${var.account_id}:log-group:/aws/application-signals/data",
          "arn:${local.partition}:logs:${var.region}:${var.account_id}:log-group:aws/spans",
        ]
      }
    }
  }]
}

resource "aws_xray_trace_segment_destination" "this" {
  destination = "CloudWatchLogs"

  depends_on = [aws_cloudwatch_log_resource_policy.traces]
}
