# A copy in another region, where one is wanted. Off unless a region is named: S3 doesn't replicate the
# deletion of a version, so what is deleted here stays there (see the README).

locals {
  replicas       = var.replica_region == null ? {} : { (var.replica_region) = "${var.name}-recordings-replica-${local.account}" }
  replica_bucket = { for region, bucket in aws_s3_bucket.replica : region => bucket.id }
}

module "replica_key" {
  source   = "../key"
  for_each = local.replicas

  region      = each.key
  name        = "${var.name}-recordings-replica"
  description = "The copy of sound and texts in ${each.key}"
}

resource "aws_s3_bucket" "replica" {
  # checkov:skip=CKV_AWS_18:The copy is read by nobody but a restore, and CloudTrail has that.
  # checkov:skip=CKV_AWS_144:It is itself the copy.
  # checkov:skip=CKV2_AWS_62:Nobody waits for what comes here.
  for_each = local.replicas

  region        = each.key
  bucket        = each.value
  force_destroy = false
}

resource "aws_s3_bucket_versioning" "replica" {
  for_each = local.replicas

  region = each.key
  bucket = local.replica_bucket[each.key]

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "replica" {
  for_each = local.replicas

  region = each.key
  bucket = local.replica_bucket[each.key]

  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.replica_key[each.key].arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "replica" {
  for_each = local.replicas

  region = each.key
  bucket = local.replica_bucket[each.key]

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "replica" {
  for_each = local.replicas

  region = each.key
  bucket = local.replica_bucket[each.key]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsAlone"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.replica[each.key].arn, "${aws_s3_bucket.replica[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.replica]
}

resource "aws_s3_bucket_lifecycle_configuration" "replica" {
  for_each = local.replicas

  region = each.key
  bucket = local.replica_bucket[each.key]

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.replica]
}

resource "aws_iam_role" "replication" {
  for_each = local.replicas

  name = "${var.name}-replication"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Replication"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # "IfExists": of replication it isn't documented that S3 says for whose bucket it comes.
      Condition = { StringEqualsIfExists = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "replication" {
  for_each = local.replicas

  name = "copy-recordings"
  role = aws_iam_role.replication[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "SeeWhatIsToBeCopied"
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = aws_s3_bucket.recordings.arn
      },
      {
        Sid      = "ReadVersions"
        Effect   = "Allow"
        Action   = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
        Resource = "${aws_s3_bucket.recordings.arn}/*"
      },
      {
        Sid      = "WriteCopies"
        Effect   = "Allow"
        Action   = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = "${aws_s3_bucket.replica[each.key].arn}/*"
      },
      {
        Sid      = "ReadWithTheKeyHere"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = module.key.arn
      },
      {
        Sid      = "WriteWithTheKeyThere"
        Effect   = "Allow"
        Action   = "kms:Encrypt"
        Resource = module.replica_key[each.key].arn
      },
    ]
  })
}

resource "aws_s3_bucket_replication_configuration" "recordings" {
  for_each = local.replicas

  bucket = aws_s3_bucket.recordings.id
  role   = aws_iam_role.replication[each.key].arn

  rule {
    id       = "everything"
    status   = "Enabled"
    priority = 1

    filter {}

    delete_marker_replication {
      status = "Enabled"
    }

    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }

    destination {
      bucket        = aws_s3_bucket.replica[each.key].arn
      storage_class = "STANDARD_IA"

      encryption_configuration {
        replica_kms_key_id = module.replica_key[each.key].arn
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.recordings, aws_s3_bucket_versioning.replica]
}
