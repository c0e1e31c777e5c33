# One registry for all environments: an image is built once, and what was tested is what production runs.

data "aws_partition" "current" {}

locals {
  pullers = [for account in var.pull_account_ids : "arn:${data.aws_partition.current.partition}:iam::${account}:root"]
}

module "key" {
  source = "../key"

  name        = "speakr-registry"
  description = "Images of speakr in the registry"
}

resource "aws_ecr_repository" "this" {
  # checkov:skip=CKV_AWS_51:Tags are immutable but for "latest", which a release moves when all has held; deployments name digests.
  for_each = var.images

  name                 = each.key
  image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"
  force_delete         = false

  image_tag_mutability_exclusion_filter {
    filter      = "latest"
    filter_type = "WILDCARD"
  }

  # The release scans before it pushes; this looks again when new holes are known.
  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.key.arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = var.images

  repository = aws_ecr_repository.this[each.key].name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "What a push left without a name"
        selection = {
          tagStatus   = "untagged"
          countType   = "sinceImagePushed"
          countUnit   = "days"
          countNumber = 14
        }
        action = { type = "expire" }
      },
      {
        # Merges to main are pushed as main-COMMIT. Versions (v…) stay: an undo needs them.
        rulePriority = 2
        description  = "Builds of main, but for the last ones"
        selection = {
          tagStatus      = "tagged"
          tagPatternList = ["main-*"]
          countType      = "imageCountMoreThan"
          countNumber    = var.kept_builds
        }
        action = { type = "expire" }
      },
    ]
  })
}

# Accounts of environments that aren't this one may pull, and do nothing else.
resource "aws_ecr_repository_policy" "this" {
  for_each = length(local.pullers) == 0 ? toset([]) : var.images

  repository = aws_ecr_repository.this[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountsThatPull"
      Effect    = "Allow"
      Principal = { AWS = local.pullers }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}
