# The vault: an entry for each secret, a key for all of them, and who may read which. Entries are made
# empty: what is in them is put there by scripts/cloud-secrets.sh, so that no state and no plan has it.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region

  # Readers of each entry, as roles: pods' roles by their service accounts, and who may look as a person.
  readers = {
    for name, entry in var.entries : name => concat(
      [for reader in entry.readers : var.reader_role_arns[reader]],
      values(var.operator_role_arns),
    )
  }
}

module "key" {
  source = "../key"

  name        = "${var.name}-secrets"
  description = "Secrets of ${var.name} in Secrets Manager"
}

resource "aws_secretsmanager_secret" "this" {
  # checkov:skip=CKV2_AWS_57:AWS turns over what it manages itself, which is the database's master password; for the rest rotation is a command (README), because each has another program at its other end.
  for_each = var.entries

  name                    = "speakr/${var.environment}/${each.key}"
  description             = each.value.description
  kms_key_id              = module.key.arn
  recovery_window_in_days = var.recovery_window_in_days
}

# Whoever is named in no entry can't read it, whatever his own policies allow. Putting a new value and
# deleting are left to the account's administrators: they could change this policy too.
resource "aws_secretsmanager_secret_policy" "this" {
  for_each = var.entries

  secret_arn          = aws_secretsmanager_secret.this[each.key].arn
  block_public_policy = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NobodyElseReads"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:GetSecretValue"
      # On "*": in a secret's policy that is this secret alone.
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = local.readers[each.key] } }
    }]
  })
}
