mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name = "speakr-test"
}

run "nothing_is_public_or_in_plain_text" {
  command = plan

  assert {
    condition = alltrue([for block in [aws_s3_bucket_public_access_block.recordings, aws_s3_bucket_public_access_block.logs] :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "A bucket can be made public."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policy).Statement : statement.Effect == "Deny"])
    error_message = "The bucket's policy gives something away: it is there to refuse."
  }

  assert {
    condition     = jsondecode(output.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false" && length(jsondecode(output.policy).Statement[0].Resource) == 2
    error_message = "Requests without TLS are taken."
  }

  # What isn't there is unequal to everything: without "Null" a write that names no key, as the services' do, is refused.
  assert {
    condition = { for statement in jsondecode(output.policy).Statement : statement.Sid => statement.Condition if statement.Action == "s3:PutObject" } == {
      NoOtherKey = {
        ArnNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = module.key.arn }
        Null         = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
      }
      NoOtherEncryption = {
        StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        Null            = { "s3:x-amz-server-side-encryption" = "false" }
      }
      NoKeyOfAws = {
        Null = { "s3:x-amz-server-side-encryption" = "false", "s3:x-amz-server-side-encryption-aws-kms-key-id" = "true" }
      }
      NoKeyOfTheCaller = {
        Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" }
      }
    }
    error_message = "Writes that name no encryption are refused, or some that name another are taken."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.recordings.rule).apply_server_side_encryption_by_default).kms_master_key_id == module.key.arn && one(aws_s3_bucket_server_side_encryption_configuration.recordings.rule).bucket_key_enabled
    error_message = "The bucket isn't encrypted with its key, or asks KMS for each piece of sound."
  }

  assert {
    condition     = aws_s3_bucket_versioning.recordings.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.recordings.force_destroy
    error_message = "What is overwritten is lost, or the bucket goes with what is in it."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.recordings.rule[0].noncurrent_version_expiration[0].noncurrent_days == 35 && length(aws_s3_bucket_lifecycle_configuration.recordings.rule) == 1
    error_message = "Old versions are kept for another time than backups."
  }

  assert {
    condition     = aws_s3_bucket_logging.recordings.target_prefix == "recordings/"
    error_message = "Nobody notes who reads recordings."
  }

  assert {
    condition     = output.replica_bucket == null && length(aws_s3_bucket_replication_configuration.recordings) == 0
    error_message = "There is a copy that nobody asked for: it keeps what people delete."
  }
}

run "a_copy_stands_in_its_own_region_and_texts_stay_near" {
  command = plan

  variables {
    replica_region        = "eu-west-1"
    infrequent_after_days = 90
  }

  assert {
    condition     = aws_s3_bucket.replica["eu-west-1"].region == "eu-west-1" && aws_s3_bucket_versioning.replica["eu-west-1"].region == "eu-west-1"
    error_message = "The copy stands in the same region."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.replication["eu-west-1"].policy).Statement : statement.Action])) == toset([
      "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging",
      "s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags", "kms:Decrypt", "kms:Encrypt",
    ])
    error_message = "Replication may do more than replicate, or less."
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.recordings.rule[1].filter[0].and).object_size_greater_than == 131072
    error_message = "Small texts would move too, and cost more than they save."
  }
}

run "what_would_keep_deleted_recordings_is_refused" {
  command = plan

  variables {
    noncurrent_days       = 90
    infrequent_after_days = 10
    replica_region        = "somewhere"
  }

  expect_failures = [var.noncurrent_days, var.infrequent_after_days, var.replica_region]
}
