# The cluster has no public end point, so the job that deploys runs inside the network: CodeBuild takes
# jobs of GitHub Actions that ask for it. As an AWS identity it can do next to nothing; the job takes the
# deploy role with its own GitHub token.

locals {
  runner      = var.deploy == null ? null : var.deploy.runner
  runner_name = var.deploy == null ? null : "${var.deploy.cluster_name}-runner"
  runners     = local.runner == null ? toset([]) : toset(["this"])
  runner_log  = "/speakr/${try(var.deploy.cluster_name, "")}/runner"
}

resource "aws_cloudwatch_log_group" "runner" {
  # checkov:skip=CKV_AWS_338:Ninety days are enough to look back; a year of logs would name what people deleted long ago.
  for_each = local.runners

  name              = local.runner_log
  retention_in_days = 90
  kms_key_id        = local.runner.log_key_arn
}

resource "aws_security_group" "runner" {
  for_each = local.runners

  name        = local.runner_name
  description = "Jobs that deploy: out to HTTPS, and nothing in"
  vpc_id      = local.runner.vpc_id
  tags        = { Name = local.runner_name }
}

resource "aws_vpc_security_group_egress_rule" "runner" {
  for_each = local.runners

  security_group_id = aws_security_group.runner[each.key].id
  description       = "GitHub, AWS and the cluster: their addresses change"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "cluster_from_runner" {
  for_each = local.runners

  security_group_id            = local.runner.cluster_security_group_id
  description                  = "Jobs that deploy, to the Kubernetes API"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.runner[each.key].id
}

resource "aws_iam_role" "runner" {
  for_each = local.runners

  name = local.runner_name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheRunnersProject"
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account
          "aws:SourceArn"     = "arn:${local.partition}:codebuild:${local.region}:${local.account}:project/${local.runner_name}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "runner" {
  for_each = local.runners

  name = "run-inside-the-network"
  role = aws_iam_role.runner[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteItsLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.runner[each.key].arn}:*"
      },
      {
        Sid      = "ComeToGithub"
        Effect   = "Allow"
        Action   = ["codeconnections:GetConnection", "codeconnections:GetConnectionToken", "codeconnections:UseConnection"]
        Resource = local.runner.connection_arn
      },
      {
        Sid    = "LookAtTheNetwork"
        Effect = "Allow"
        Action = [
          "ec2:DescribeDhcpOptions",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeVpcs",
        ]
        # On "*": EC2 takes no resource for what only describes.
        Resource = "*"
      },
      {
        Sid    = "StandInOurSubnets"
        Effect = "Allow"
        Action = "ec2:CreateNetworkInterface"
        Resource = concat(
          [for subnet in local.runner.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${subnet}"],
          [
            "arn:${local.partition}:ec2:${local.region}:${local.account}:security-group/${aws_security_group.runner[each.key].id}",
            "arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*",
          ],
        )
      },
      {
        Sid      = "TakeDownItsInterfaces"
        Effect   = "Allow"
        Action   = "ec2:DeleteNetworkInterface"
        Resource = "arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"
        # An interface that it made stands in one of these subnets.
        Condition = {
          ArnEquals = { "ec2:Subnet" = [for subnet in local.runner.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${subnet}"] }
        }
      },
      {
        Sid      = "LendTheInterfaceToCodebuild"
        Effect   = "Allow"
        Action   = "ec2:CreateNetworkInterfacePermission"
        Resource = "arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"
        Condition = {
          StringEquals = { "ec2:AuthorizedService" = "codebuild.amazonaws.com" }
          ArnEquals    = { "ec2:Subnet" = [for subnet in local.runner.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${subnet}"] }
        }
      },
    ]
  })
}

resource "aws_codebuild_project" "runner" {
  # checkov:skip=CKV_AWS_147:It keeps no artefacts and no cache: there is nothing to encrypt.
  for_each = local.runners

  name                   = local.runner_name
  description            = "Runs GitHub Actions jobs that deploy to ${var.deploy.cluster_name}"
  service_role           = aws_iam_role.runner[each.key].arn
  build_timeout          = 60
  queued_timeout         = 60
  concurrent_build_limit = 2

  source {
    type            = "GITHUB"
    location        = "https://github.com/${var.github_repository}.git"
    git_clone_depth = 1

    auth {
      type     = "CODECONNECTIONS"
      resource = local.runner.connection_arn
    }
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = "BUILD_GENERAL1_SMALL"
    image           = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
    privileged_mode = false
  }

  vpc_config {
    vpc_id             = local.runner.vpc_id
    subnets            = local.runner.subnet_ids
    security_group_ids = [aws_security_group.runner[each.key].id]
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.runner[each.key].name
    }
  }

  depends_on = [aws_iam_role_policy.runner]
}

# Only jobs of the workflows that deploy get this machine.
resource "aws_codebuild_webhook" "runner" {
  for_each = local.runners

  project_name = aws_codebuild_project.runner[each.key].name
  build_type   = "BUILD"

  filter_group {
    filter {
      type    = "EVENT"
      pattern = "WORKFLOW_JOB_QUEUED"
    }

    filter {
      type    = "WORKFLOW_NAME"
      pattern = "^(${join("|", local.runner.workflow_names)})$"
    }
  }
}
