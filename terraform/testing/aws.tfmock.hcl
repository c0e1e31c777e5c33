# What the modules' tests take for AWS: nothing is asked, and what AWS would make up (ids, ARNs) is known
# while planning, so that policies can be read.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_data "aws_region" {
  defaults = {
    region = "eu-central-1"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    key_id = "00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mock"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/mock"
    id  = "mock"
  }
}

mock_resource "aws_vpc" {
  defaults = {
    id = "vpc-mock"
  }
}

mock_resource "aws_internet_gateway" {
  defaults = {
    id = "igw-mock"
  }
}

mock_resource "aws_nat_gateway" {
  defaults = {
    id = "nat-mock"
  }
}

mock_resource "aws_route_table" {
  defaults = {
    id = "rtb-mock"
  }
}

mock_resource "aws_subnet" {
  defaults = {
    id = "subnet-mock"
  }
}

mock_resource "aws_security_group" {
  defaults = {
    id = "sg-mock"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id  = "bucket-mock"
    arn = "arn:aws:s3:::bucket-mock"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mock"
  }
}

mock_resource "aws_eks_cluster" {
  defaults = {
    arn = "arn:aws:eks:eu-central-1:123456789012:cluster/mock"
    vpc_config = {
      cluster_security_group_id = "sg-nodes"
    }
  }
}

mock_resource "aws_eks_node_group" {
  defaults = {
    resources = [{
      autoscaling_groups              = [{ name = "asg-mock" }]
      remote_access_security_group_id = ""
    }]
  }
}

mock_resource "aws_launch_template" {
  defaults = {
    id             = "lt-mock"
    latest_version = 1
  }
}

mock_resource "aws_db_instance" {
  defaults = {
    arn     = "arn:aws:rds:eu-central-1:123456789012:db:mock"
    address = "mock.eu-central-1.rds.amazonaws.com"
    master_user_secret = [{
      kms_key_id    = ""
      secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds-mock"
      secret_status = "active"
    }]
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-central-1:123456789012:mock"
  }
}

mock_resource "aws_prometheus_workspace" {
  defaults = {
    id                  = "ws-mock"
    arn                 = "arn:aws:aps:eu-central-1:123456789012:workspace/ws-mock"
    prometheus_endpoint = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-mock/"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-central-1:123456789012:repository/mock"
    repository_url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mock"
  }
}

mock_resource "aws_backup_vault" {
  defaults = {
    arn = "arn:aws:backup:eu-central-1:123456789012:backup-vault:mock"
  }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_iam_openid_connect_provider" {
  defaults = {
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }
}

mock_resource "aws_codeconnections_connection" {
  defaults = {
    arn = "arn:aws:codeconnections:eu-central-1:123456789012:connection/00000000-0000-0000-0000-000000000000"
  }
}
