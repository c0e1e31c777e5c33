# A role for each service account that asks AWS for anything, with the policy that the caller gives it.
# There is no role for "the application".

locals {
  pods_of_this_cluster = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "PodsOfThisCluster"
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = aws_eks_cluster.this.arn }
      }
    }]
  }
}

resource "aws_iam_role" "workload" {
  for_each = var.workloads

  # Whoever reads a log of AWS's sees which pod it was.
  name               = "${var.name}-pod-${each.key}"
  assume_role_policy = jsonencode(local.pods_of_this_cluster)
}

resource "aws_iam_role_policy" "workload" {
  for_each = var.workloads

  name   = "what-${each.key}-needs"
  role   = aws_iam_role.workload[each.key].id
  policy = each.value.policy
}

resource "aws_eks_pod_identity_association" "workload" {
  for_each = var.workloads

  cluster_name    = aws_eks_cluster.this.name
  namespace       = var.namespace
  service_account = each.key
  role_arn        = aws_iam_role.workload[each.key].arn
}
