# What the load balancer in front of the API may hear and say. EKS makes the balancer itself, for a
# Service of type LoadBalancer that names this group.

resource "aws_security_group" "load_balancer" {
  # checkov:skip=CKV2_AWS_5:It is attached by EKS, to the balancer of a Service that names it.
  name        = "${var.name}-load-balancer"
  description = "HTTPS from callers of the API, and on to the nodes"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-load-balancer" }
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer" {
  for_each = toset(var.api_allowed_cidrs)

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS from callers"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.key
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "To the ports of services on the nodes"
  ip_protocol                  = "tcp"
  from_port                    = 30000
  to_port                      = 32767
  referenced_security_group_id = local.node_security_group_id
}

resource "aws_vpc_security_group_ingress_rule" "node_from_load_balancer" {
  security_group_id            = local.node_security_group_id
  description                  = "From the load balancer to the ports of services"
  ip_protocol                  = "tcp"
  from_port                    = 30000
  to_port                      = 32767
  referenced_security_group_id = aws_security_group.load_balancer.id
}
