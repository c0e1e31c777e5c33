# AWS has no NATS of its own, so it stands in the cluster (k8s/), or is hosted by somebody else. Here is
# what it stands on: a key for its volumes, a bucket for copies of its streams, the credentials of a
# hosted one, and alarms.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.region
  in_cluster = var.mode == "in_cluster"
  bucket     = "${var.name}-streams-${local.account}"
}

# The storage class names this key; the driver's role may use it (module cluster).
module "volume_key" {
  source = "../key"

  name        = "${var.name}-volumes"
  description = "Volumes of the cluster ${var.name}: what is under way on the bus"
}

module "backup_key" {
  source = "../key"

  name        = "${var.name}-streams"
  description = "Copies of the bus's streams"
}

resource "aws_s3_bucket" "streams" {
  # checkov:skip=CKV_AWS_144:What is under way is worth hours, not a second region.
  # checkov:skip=CKV2_AWS_62:Nobody waits for a copy; that one is missing is an alarm below.
  bucket        = local.bucket
  force_destroy = false
}

resource "aws_s3_bucket_versioning" "streams" {
  bucket = aws_s3_bucket.streams.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "streams" {
  bucket = aws_s3_bucket.streams.id

  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.backup_key.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "streams" {
  bucket = aws_s3_bucket.streams.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "streams" {
  bucket = aws_s3_bucket.streams.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "streams" {
  bucket = aws_s3_bucket.streams.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsAlone"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.streams.arn, "${aws_s3_bucket.streams.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.streams]
}

resource "aws_s3_bucket_logging" "streams" {
  bucket        = aws_s3_bucket.streams.id
  target_bucket = var.log_bucket
  target_prefix = "streams/"
}

resource "aws_s3_bucket_lifecycle_configuration" "streams" {
  bucket = aws_s3_bucket.streams.id

  # Copies hold what people said: they run out with all other backups.
  rule {
    id     = "old-copies"
    status = "Enabled"
    filter {}

    expiration {
      days = var.backup_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.streams]
}

resource "aws_s3_bucket_metric" "streams" {
  bucket = aws_s3_bucket.streams.id
  name   = "all"
}

# What a hosted bus gave us goes into the vault and nowhere else: these arguments are in no plan and no
# state. A new version number has them written again. As they are: each becomes a file in its pod.
resource "aws_secretsmanager_secret_version" "hosted" {
  for_each = local.in_cluster ? {} : var.credential_secret_arns

  secret_id                = each.value
  secret_string_wo         = var.hosted_credentials[each.key]
  secret_string_wo_version = var.hosted_credentials_version
}
