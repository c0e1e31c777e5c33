mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name               = "speakr-test"
  cidr               = "10.20.0.0/16"
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  nat_per_zone       = true
  endpoint_zones     = 3
}

run "subnets_have_the_roads_they_need_and_no_others" {
  command = plan

  assert {
    condition = join(" ", flatten([for zone in var.availability_zones : [
      aws_subnet.private[zone].cidr_block, aws_subnet.public[zone].cidr_block, aws_subnet.database[zone].cidr_block
      ]])) == join(" ", [
      "10.20.0.0/19", "10.20.96.0/24", "10.20.104.0/24",
      "10.20.32.0/19", "10.20.97.0/24", "10.20.105.0/24",
      "10.20.64.0/19", "10.20.98.0/24", "10.20.106.0/24",
    ])
    error_message = "The subnets' addresses aren't those that are written down."
  }

  assert {
    condition = alltrue([
      for subnet in concat(values(aws_subnet.public), values(aws_subnet.private), values(aws_subnet.database)) :
      subnet.map_public_ip_on_launch == false
    ])
    error_message = "A subnet hands out public addresses."
  }

  assert {
    condition     = aws_route.public_internet.gateway_id == aws_internet_gateway.this.id
    error_message = "The public subnets have no road."
  }

  assert {
    condition     = alltrue([for route in aws_route.private_nat : route.nat_gateway_id == "nat-mock"])
    error_message = "A private subnet's road out isn't NAT, so it may be reached from the internet."
  }

  # Routes of their own (aws_route) are looked at in the states: scripts/infra/exposure.py.
  assert {
    condition = length(aws_route_table.database.route) == 0 && length(aws_route_table.database.propagating_vgws) == 0 && alltrue([
      for zone in var.availability_zones : aws_route_table_association.database[zone].route_table_id == aws_route_table.database.id
    ])
    error_message = "The databases' subnets have a road of their own."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "A zone shares its road out with another."
  }

  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group has rules."
  }

  assert {
    condition = alltrue([for rule in aws_network_acl_rule.database_in :
      rule.from_port == 5432 && rule.to_port == 5432 && contains(["10.20.0.0/19", "10.20.32.0/19", "10.20.64.0/19"], rule.cidr_block)
    ])
    error_message = "The wall around the databases has another gate than the private subnets' to their port."
  }

  assert {
    condition     = alltrue([for rule in aws_network_acl_rule.database_out : rule.cidr_block != "0.0.0.0/0"])
    error_message = "Databases may talk to the world."
  }

  assert {
    condition     = join(" ", keys(aws_vpc_endpoint.interface)) == "ecr.api ecr.dkr logs secretsmanager sts"
    error_message = "An endpoint is missing, or one too many is paid for."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3.policy).Statement[0].Condition.StringEquals["aws:ResourceAccount"] == "123456789012"
    error_message = "The road to S3 leads to buckets of others."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.endpoints : rule.from_port == 443 && rule.to_port == 443 && rule.cidr_ipv4 != "0.0.0.0/0"])
    error_message = "The endpoints are open to others than the private subnets."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id != null
    error_message = "The flow log leaves something out, or isn't encrypted."
  }

  assert {
    condition     = jsondecode(aws_iam_role.flow.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Other accounts' flow logs may take this role."
  }
}

run "one_nat_and_endpoints_in_one_zone_are_enough_elsewhere" {
  command = plan

  variables {
    nat_per_zone   = false
    endpoint_zones = 1
  }

  assert {
    condition     = join(" ", keys(aws_nat_gateway.this)) == "eu-central-1a" && length(aws_route.private_nat) == 3
    error_message = "All three zones should share the first zone's NAT."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : length(endpoint.subnet_ids) == 1])
    error_message = "Endpoints stand in more zones than asked for."
  }
}

run "two_zones_and_public_addresses_are_refused" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a", "eu-central-1b"]
    cidr               = "8.8.0.0/16"
  }

  expect_failures = [var.availability_zones, var.cidr]
}
