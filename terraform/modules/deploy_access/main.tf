# Who may publish and deploy: jobs of this repository's own GitHub environments, without a stored key.
# GitHub says who a job is (OIDC), and each role takes one environment of one repository.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  issuer       = "token.actions.githubusercontent.com"
  provider_arn = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.issuer}"

  # Both are said in full: "aud" is what the token is for, "sub" which repository and which environment
  # it is of. An environment has its own rules on GitHub (who approves, which tags), which a branch hasn't.
  trust = {
    for environment in compact([var.publish == null ? "" : var.publish.environment, var.deploy == null ? "" : var.deploy.environment]) : environment => {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "JobsOfOneGithubEnvironment"
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = "repo:${var.github_repository}:environment:${environment}"
          }
        }
      }]
    }
  }

  sign_in = {
    Sid    = "SignInToTheRegistry"
    Effect = "Allow"
    Action = "ecr:GetAuthorizationToken"
    # On "*": the token is for the whole registry; what it opens is said by the other statements.
    Resource = "*"
  }
}

# ---- publishing: images into the one registry, and nothing else

resource "aws_iam_role" "publish" {
  count = var.publish == null ? 0 : 1

  name                 = "speakr-publish"
  description          = "Pushes images of speakr: GitHub environment ${var.publish.environment}"
  max_session_duration = 7200
  assume_role_policy   = jsonencode(local.trust[var.publish.environment])
}

resource "aws_iam_role_policy" "publish" {
  count = var.publish == null ? 0 : 1

  name = "push-images"
  role = aws_iam_role.publish[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.sign_in,
      {
        Sid    = "PushAndLookAtImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:DescribeImageScanFindings",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = var.repository_arns
      },
    ]
  })
}

# ---- deploying: into one namespace of one cluster

resource "aws_iam_role" "deploy" {
  count = var.deploy == null ? 0 : 1

  name                 = "${var.deploy.cluster_name}-deploy"
  description          = "Deploys speakr: GitHub environment ${var.deploy.environment}"
  max_session_duration = 7200
  assume_role_policy   = jsonencode(local.trust[var.deploy.environment])
}

resource "aws_iam_role_policy" "deploy" {
  count = var.deploy == null ? 0 : 1

  name = "find-the-cluster-and-its-images"
  role = aws_iam_role.deploy[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.sign_in,
      {
        Sid    = "PullImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
        ]
        Resource = var.repository_arns
      },
      {
        Sid      = "FindTheCluster"
        Effect   = "Allow"
        Action   = "eks:DescribeCluster"
        Resource = var.deploy.cluster_arn
      },
    ]
  })
}

# In the cluster it is a member of a group, and what that may is in k8s/cluster: to change what is in its
# namespace. It gets no policy of EKS's own, which would reach further.
resource "aws_eks_access_entry" "deploy" {
  count = var.deploy == null ? 0 : 1

  cluster_name      = var.deploy.cluster_name
  principal_arn     = aws_iam_role.deploy[0].arn
  type              = "STANDARD"
  kubernetes_groups = [var.kubernetes_group]
}
