# Who talked to whom, and who was refused.

module "log_key" {
  source = "../key"

  name        = "${var.name}-flow-logs"
  description = "Flow logs of the network ${var.name}"
  services = [{
    sid       = "LogsOfTheNetwork"
    principal = "logs.${local.region}.amazonaws.com"
    conditions = {
      StringEquals = { "kms:EncryptionContext:aws:logs:arn" = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.flow_log_group}"] }
    }
  }]
}

locals {
  flow_log_group = "/speakr/${var.name}/flow-logs"
}

resource "aws_cloudwatch_log_group" "flow" {
  # checkov:skip=CKV_AWS_338:Ninety days are enough to look back; a year of logs would name what people deleted long ago.
  name              = local.flow_log_group
  retention_in_days = var.flow_log_retention_days
  kms_key_id        = module.log_key.arn
}

resource "aws_iam_role" "flow" {
  name = "${var.name}-flow-logs"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FlowLogsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ec2:${local.region}:${local.account}:vpc-flow-log/*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "write-flow-logs"
  role = aws_iam_role.flow.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "WriteTheLogOfTheNetwork"
      Effect = "Allow"
      Action = [
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
      ]
      Resource = [
        aws_cloudwatch_log_group.flow.arn,
        "${aws_cloudwatch_log_group.flow.arn}:*",
      ]
      }, {
      Sid    = "LookForTheLogOfTheNetwork"
      Effect = "Allow"
      Action = "logs:DescribeLogGroups"
      # On "*": a list of groups takes no resource; it gives names and nothing that is in them.
      Resource = "*"
    }]
  })
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  max_aggregation_interval = 60
  tags                     = { Name = var.name }
}
