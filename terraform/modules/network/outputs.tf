output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Ids of the subnets of the nodes, one a zone, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]

  # With their road out: a node that comes before it reaches nothing and doesn't join, and one that outlives it can't
  # be emptied.
  depends_on = [
    aws_route.private_nat,
    aws_route.public_internet,
    aws_route_table_association.private,
    aws_route_table_association.public,
  ]
}

output "private_cidrs" {
  description = "Addresses of the private subnets, by zone."
  value       = local.private_cidrs
}

output "database_cidrs" {
  description = "Addresses of the database subnets, by zone: where pods have to be let out to."
  value       = local.database_cidrs
}

output "public_subnet_ids" {
  description = "Ids of the subnets of the load balancer, one a zone."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "database_subnet_group" {
  description = "Name of the group of database subnets."
  value       = aws_db_subnet_group.this.name
}

output "nat_gateway_ids" {
  description = "Ids of the NAT gateways, by zone."
  value       = { for zone, gateway in aws_nat_gateway.this : zone => gateway.id }
}

output "public_cidrs" {
  description = "Addresses of the public subnets, by zone: where the load balancers call from."
  value       = local.public_cidrs
}
