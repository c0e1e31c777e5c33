# What EKS brings and keeps up to date. Versions are AWS's choice for the version of Kubernetes, unless
# `addon_versions` names one.

locals {
  everywhere = [{ operator = "Exists" }]

  # Nodes aren't ready without these.
  before_nodes = {
    vpc-cni                = { enableNetworkPolicy = "true" }
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  after_nodes = {
    coredns            = null
    metrics-server     = null
    aws-ebs-csi-driver = null
    aws-secrets-store-csi-driver-provider = {
      # By default it keeps off nodes with taints, and the transcriber's have one.
      tolerations = local.everywhere
      "secrets-store-csi-driver" = {
        linux = { tolerations = local.everywhere }
        # Secrets are files in the pod that may read them, and never Kubernetes secrets.
        syncSecret           = { enabled = false }
        enableSecretRotation = true
        rotationPollInterval = "2m"
        tokenRequests        = [{ audience = "sts.amazonaws.com" }, { audience = "pods.eks.amazonaws.com" }]
      }
    }
    # It goes to all nodes, whatever their taints.
    amazon-cloudwatch-observability = {
      containerLogs = { enabled = true }
      # The metrics that alarms look at (ContainerInsights), said outright: versions of the add-on differ in what is on by
      # itself. This takes the place of the agent's whole default, so Application Signals isn't in it: traces are the
      # collector's.
      agent = { config = { logs = { metrics_collected = { kubernetes = { enhanced_container_insights = true } } } } }
      # By itself it puts a container of its own into each pod that a Service selects. Pod Security and the policy of
      # images refuse such a pod.
      manager = { applicationSignals = { autoMonitor = { monitorAllServices = false } } }
    }
  }

  addon_roles = {
    vpc-cni = {
      service_account = "aws-node"
      policy_arn      = "arn:${local.partition}:iam::aws:policy/AmazonEKS_CNI_Policy"
    }
    aws-ebs-csi-driver = {
      service_account = "ebs-csi-controller-sa"
      policy_arn      = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
    }
    amazon-cloudwatch-observability = {
      service_account = "cloudwatch-agent"
      policy_arn      = "arn:${local.partition}:iam::aws:policy/CloudWatchAgentServerPolicy"
    }
  }
}

resource "aws_iam_role" "addon" {
  for_each = local.addon_roles

  name               = "${var.name}-${each.key}"
  assume_role_policy = jsonencode(local.pods_of_this_cluster)
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each = local.addon_roles

  role       = aws_iam_role.addon[each.key].name
  policy_arn = each.value.policy_arn
}

# AWS's policy for the driver knows no key of ours.
resource "aws_iam_role_policy" "ebs_csi_key" {
  name = "use-the-key-of-volumes"
  role = aws_iam_role.addon["aws-ebs-csi-driver"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "EncryptVolumes"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
        Resource = var.volume_key_arn
      },
      {
        Sid       = "HandTheKeyToVolumesOfEc2"
        Effect    = "Allow"
        Action    = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
        Resource  = var.volume_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
    ]
  })
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value == null ? null : jsonencode(each.value)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_roles), each.key) ? [local.addon_roles[each.key]] : []
    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value.service_account
    }
  }

  depends_on = [aws_iam_role_policy_attachment.addon]
}

resource "aws_eks_addon" "after_nodes" {
  for_each = local.after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value == null ? null : jsonencode(each.value)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_roles), each.key) ? [local.addon_roles[each.key]] : []
    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value.service_account
    }
  }

  depends_on = [
    aws_eks_node_group.this,
    aws_iam_role_policy.ebs_csi_key,
    aws_iam_role_policy_attachment.addon,
    # Gone before them too: it would make a group that is gone again, without a key and an end.
    var.container_log_groups,
  ]
}
