# The store of record: sound and texts. Lost, nothing brings it back; so every version is kept for a while.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # Names of buckets are the whole world's, so the account is in them.
  bucket     = "${var.name}-recordings-${local.account}"
  log_bucket = "${var.name}-access-logs-${local.account}"
}

module "key" {
  source = "../key"

  name        = "${var.name}-recordings"
  description = "Sound and texts in the bucket ${local.bucket}"
}

resource "aws_s3_bucket" "recordings" {
  # checkov:skip=CKV2_AWS_62:What happens is told on the bus; nobody waits for S3 to tell it.
  # checkov:skip=CKV_AWS_144:A copy in another region is an option (replica_region), because it keeps what people delete.
  bucket        = local.bucket
  force_destroy = false
}

resource "aws_s3_bucket_versioning" "recordings" {
  bucket = aws_s3_bucket.recordings.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "recordings" {
  bucket = aws_s3_bucket.recordings.id

  rule {
    # One request to KMS for many objects, not one for each piece of sound.
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.key.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "recordings" {
  bucket = aws_s3_bucket.recordings.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "recordings" {
  bucket = aws_s3_bucket.recordings.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

locals {
  policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.recordings.arn, "${aws_s3_bucket.recordings.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Who names no key and no encryption gets the bucket's, and the services name none; another is refused. "Null", for
        # what isn't there is unequal to everything (with "IfExists" it counts as met too): each write would be refused.
        Sid       = "NoOtherKey"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.recordings.arn}/*"
        Condition = {
          ArnNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = module.key.arn }
          Null         = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
        }
      },
      {
        Sid       = "NoOtherEncryption"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.recordings.arn}/*"
        Condition = {
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
        }
      },
      {
        # Who asks for KMS and names no key gets AWS's own.
        Sid       = "NoKeyOfAws"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.recordings.arn}/*"
        Condition = {
          Null = {
            "s3:x-amz-server-side-encryption"                = "false"
            "s3:x-amz-server-side-encryption-aws-kms-key-id" = "true"
          }
        }
      },
      {
        # A key that the caller brings along is kept nowhere: what it encrypts is lost with it.
        Sid       = "NoKeyOfTheCaller"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.recordings.arn}/*"
        Condition = { Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" } }
      },
    ]
  }
}

resource "aws_s3_bucket_policy" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  policy = jsonencode(local.policy)

  depends_on = [aws_s3_bucket_public_access_block.recordings]
}

resource "aws_s3_bucket_lifecycle_configuration" "recordings" {
  # checkov:skip=CKV_AWS_300:The first rule does it; the check sees the rule that is made on demand in its place.
  bucket = aws_s3_bucket.recordings.id

  # What was overwritten or deleted can be got back for so long, and no longer: whoever deletes a
  # recording wants it gone. (The services delete versions themselves; this is for hands that slip.)
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # Sound is large and seldom heard again; texts are small, and stay where reading them is free.
  dynamic "rule" {
    for_each = var.infrequent_after_days == null ? [] : [var.infrequent_after_days]
    content {
      id     = "old-sound"
      status = "Enabled"
      filter {
        and {
          prefix                   = "recordings/"
          object_size_greater_than = 131072
        }
      }

      transition {
        days          = rule.value
        storage_class = "STANDARD_IA"
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.recordings]
}

# Requests and errors of the bucket, for alarms.
resource "aws_s3_bucket_metric" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  name   = "all"
}
