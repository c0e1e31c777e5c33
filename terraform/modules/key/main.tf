# A key of our own: who may use it is in its policy, and its use is logged.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"

  usage = [
    "kms:Decrypt",
    # As in the policy that AWS gives for logs, which may look at a key before they take it.
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
  ]

  policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountDecidesByItsPolicies"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = "kms:*"
        # On "*": in a key's policy that is this key alone. Without this statement nobody could change the key any more.
        Resource = "*"
      }],
      [for user in var.services : {
        Sid       = user.sid
        Effect    = "Allow"
        Principal = { Service = user.principal }
        Action    = coalesce(user.actions, local.usage)
        # On "*": in a key's policy that is this key alone.
        Resource  = "*"
        Condition = user.conditions
      }],
    )
  }
}

resource "aws_kms_key" "this" {
  region                  = var.region
  description             = var.description
  deletion_window_in_days = var.deletion_window_in_days
  enable_key_rotation     = true
  policy                  = jsonencode(local.policy)
  tags                    = { Name = var.name }
}

resource "aws_kms_alias" "this" {
  region        = var.region
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
