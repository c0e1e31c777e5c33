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
