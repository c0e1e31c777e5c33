# Roads to AWS that don't leave its network: cheaper than NAT for images and sound, and they carry
# only what their policies let through.

locals {
  s3_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BucketsOfThisAccount"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:*"
        # On "*": which buckets is said by the condition, and who may do what by the buckets and roles.
        Resource  = "*"
        Condition = { StringEquals = { "aws:ResourceAccount" = local.account } }
      },
      {
        Sid       = "LayersOfImages"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = "arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"
      },
      {
        Sid       = "PackagesOfAmazonLinux"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = "arn:${local.partition}:s3:::al2023-repos-${local.region}-*/*"
      },
    ]
  }

  interface_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CallersOfThisAccount"
      Effect    = "Allow"
      Principal = "*"
      # On "*": what a caller may do is said by its own role; this road is for this account's callers alone.
      Action    = "*"
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
    }]
  }

  interface_services = toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager", "sts"])
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  # Database subnets aren't among them: nothing there asks for S3.
  route_table_ids = [for zone in var.availability_zones : aws_route_table.private[zone].id]
  policy          = jsonencode(local.s3_policy)
  tags            = { Name = "${var.name}-s3" }
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "Interface endpoints of AWS, for what runs in the private subnets"
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = local.zones

  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from the private subnet in ${each.key}"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = local.private_cidrs[each.key]
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_services

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for zone in local.endpoint_zones : aws_subnet.private[zone].id]
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  # STS is asked by callers that aren't anybody yet (web identities), so it has no such policy.
  policy = each.key == "sts" ? null : jsonencode(local.interface_policy)
  tags   = { Name = "${var.name}-${each.key}" }
}
