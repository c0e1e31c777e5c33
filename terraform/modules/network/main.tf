# Three zones, each with a public subnet (load balancer, NAT), a private one (nodes) and a database
# subnet that has no road out.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id

  zones = { for index, zone in var.availability_zones : zone => index }

  # Of a /16: private /19 (pods take their addresses here), public and database /24.
  private_cidrs  = { for zone, index in local.zones : zone => cidrsubnet(var.cidr, 3, index) }
  public_cidrs   = { for zone, index in local.zones : zone => cidrsubnet(var.cidr, 8, 96 + index) }
  database_cidrs = { for zone, index in local.zones : zone => cidrsubnet(var.cidr, 8, 104 + index) }

  nat_zones      = var.nat_per_zone ? var.availability_zones : slice(var.availability_zones, 0, 1)
  endpoint_zones = slice(var.availability_zones, 0, var.endpoint_zones)
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Whatever names no security group gets this one, which lets nothing in or out.
resource "aws_default_security_group" "this" {
  vpc_id  = aws_vpc.this.id
  ingress = []
  egress  = []
  tags    = { Name = "${var.name}-default-empty" }
}

resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.public_cidrs[each.key]
  map_public_ip_on_launch = false
  tags = {
    Name                     = "${var.name}-public-${each.key}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.private_cidrs[each.key]
  map_public_ip_on_launch = false
  tags = {
    Name                              = "${var.name}-private-${each.key}"
    "kubernetes.io/role/internal-elb" = "1"
  }
}

resource "aws_subnet" "database" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = local.database_cidrs[each.key]
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-database-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain     = "vpc"
  tags       = { Name = "${var.name}-nat-${each.key}" }
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public_internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = local.zones

  route_table_id = aws_route_table.public.id
  subnet_id      = aws_subnet.public[each.key].id
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private_nat" {
  for_each = local.zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[contains(local.nat_zones, each.key) ? each.key : local.nat_zones[0]].id
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  route_table_id = aws_route_table.private[each.key].id
  subnet_id      = aws_subnet.private[each.key].id
}

# No route but the VPC's own.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-database" }
}

resource "aws_route_table_association" "database" {
  for_each = local.zones

  route_table_id = aws_route_table.database.id
  subnet_id      = aws_subnet.database[each.key].id
}

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Subnets without a road to the internet"
  subnet_ids  = [for zone in var.availability_zones : aws_subnet.database[zone].id]
}

# The network's own wall around the databases, whatever their security groups say.
resource "aws_network_acl" "database" {
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for zone in var.availability_zones : aws_subnet.database[zone].id]
  tags       = { Name = "${var.name}-database" }
}

resource "aws_network_acl_rule" "database_in" {
  for_each = local.zones

  network_acl_id = aws_network_acl.database.id
  rule_number    = 100 + each.value
  rule_action    = "allow"
  egress         = false
  protocol       = "tcp"
  cidr_block     = local.private_cidrs[each.key]
  from_port      = 5432
  to_port        = 5432
}

resource "aws_network_acl_rule" "database_out" {
  for_each = local.zones

  network_acl_id = aws_network_acl.database.id
  rule_number    = 100 + each.value
  rule_action    = "allow"
  egress         = true
  protocol       = "tcp"
  cidr_block     = local.private_cidrs[each.key]
  # Answers go to the port that was asked from.
  from_port = 1024
  to_port   = 65535
}
