output "name" {
  description = "Name of the cluster, known once it is there."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "node_security_group_id" {
  description = "Security group of the nodes and their pods."
  value       = local.node_security_group_id
}

output "load_balancer_security_group_id" {
  description = "Security group for the API's load balancer."
  value       = aws_security_group.load_balancer.id
}

output "workload_role_arns" {
  description = "Role of each service account."
  value       = { for name, role in aws_iam_role.workload : name => role.arn }
}

output "kubernetes_version" {
  description = "Version of Kubernetes."
  value       = aws_eks_cluster.this.version
}
