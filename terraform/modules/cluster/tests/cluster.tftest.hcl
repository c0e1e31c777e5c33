mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  name       = "speakr-test"
  vpc_id     = "vpc-test"
  subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]

  admin_role_arns     = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
  volume_key_arn      = "arn:aws:kms:eu-central-1:123456789012:key/volumes"
  deletion_protection = true

  container_log_groups = ["/aws/containerinsights/speakr-test/application"]

  node_groups = {
    general = {
      instance_types = ["m7i.large"]
      disk_gb        = 50
      min_size       = 3
      max_size       = 5
    }
    transcriber = {
      instance_types       = ["c7i.xlarge"]
      disk_gb              = 50
      min_size             = 1
      max_size             = 4
      tainted              = true
      scale_at_cpu_percent = 60
    }
  }

  workloads = {
    speakr-transcriber = { policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

run "nobody_gets_in_who_is_not_named" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The Kubernetes API is open to the world."
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Somebody gets in without an access entry."
  }

  assert {
    condition     = join(" ", keys(aws_eks_access_entry.admin)) == "infrastructure"
    error_message = "Others than the administrators have an access entry here."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && length(aws_eks_cluster.this.encryption_config[0].resources) == 1
    error_message = "A log of the control plane is missing, or Kubernetes secrets aren't encrypted."
  }

  # ---- nodes

  assert {
    condition = alltrue([for template in values(aws_launch_template.node) :
      template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1
    ])
    error_message = "Pods get at their node's credentials."
  }

  assert {
    condition     = alltrue([for template in values(aws_launch_template.node) : template.block_device_mappings[0].ebs[0].encrypted == "true" && template.block_device_mappings[0].ebs[0].volume_type == "gp3"])
    error_message = "A node's disk isn't encrypted, or of an old kind."
  }

  assert {
    condition     = length(aws_eks_node_group.this["general"].taint) == 0 && one(aws_eks_node_group.this["transcriber"].taint).effect == "NO_SCHEDULE"
    error_message = "Any pod may land on the transcriber's nodes, or none on the general ones."
  }

  assert {
    condition     = aws_eks_node_group.this["transcriber"].scaling_config[0].desired_size == 1 && one(values(aws_autoscaling_policy.node)).autoscaling_group_name == "asg-mock"
    error_message = "The transcriber's nodes don't begin with their least, or nothing adds to them."
  }

  assert {
    condition     = join(" ", sort(keys(aws_iam_role_policy_attachment.node))) == "AmazonEC2ContainerRegistryPullOnly AmazonEKSWorkerNodePolicy"
    error_message = "A node may do more than join and pull."
  }

  # ---- add-ons

  assert {
    condition = join(" ", sort(concat(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.after_nodes)))) == join(" ", [
      "amazon-cloudwatch-observability", "aws-ebs-csi-driver", "aws-secrets-store-csi-driver-provider", "coredns",
      "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni",
    ])
    error_message = "An add-on that the manifests rely on is missing."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "Network policies aren't enforced."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.after_nodes["aws-secrets-store-csi-driver-provider"].configuration_values)["secrets-store-csi-driver"].syncSecret.enabled == false
    error_message = "Secrets of the vault become Kubernetes secrets."
  }

  # The alarms of monitoring and messaging look at its classic metrics.
  assert {
    condition     = jsondecode(aws_eks_addon.after_nodes["amazon-cloudwatch-observability"].configuration_values).agent.config == { logs = { metrics_collected = { kubernetes = { enhanced_container_insights = true } } } }
    error_message = "Alarms look at metrics that nothing may write."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.after_nodes["amazon-cloudwatch-observability"].configuration_values).manager.applicationSignals.autoMonitor == { monitorAllServices = false }
    error_message = "Containers that aren't ours are put into our pods, which are refused then."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.after_nodes["amazon-cloudwatch-observability"].configuration_values).containerLogs.enabled
    error_message = "What pods write goes nowhere."
  }

  # ---- pods' roles

  assert {
    condition     = one(values(aws_eks_pod_identity_association.workload)).service_account == "speakr-transcriber" && one(values(aws_eks_pod_identity_association.workload)).namespace == "speakr"
    error_message = "The role isn't bound to its service account in its namespace."
  }

  assert {
    condition = jsondecode(aws_iam_role.workload["speakr-transcriber"].assume_role_policy).Statement[0].Condition == {
      StringEquals = { "aws:SourceAccount" = "123456789012" }
      ArnEquals    = { "aws:SourceArn" = "arn:aws:eks:eu-central-1:123456789012:cluster/mock" }
    }
    error_message = "Pods of another cluster or account may take the role."
  }

  # ---- load balancer

  assert {
    condition     = alltrue([for rule in values(aws_vpc_security_group_ingress_rule.load_balancer) : rule.from_port == 443 && rule.to_port == 443])
    error_message = "The load balancer listens on more than 443."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.load_balancer.referenced_security_group_id == "sg-nodes" && aws_vpc_security_group_egress_rule.load_balancer.cidr_ipv4 == null
    error_message = "The load balancer talks to others than the nodes."
  }
}

run "what_could_not_work_is_refused" {
  command = plan

  variables {
    kubernetes_version = "1.28"
    admin_role_arns    = {}
    workloads          = { anything = { policy = "{}" } }
    node_groups = {
      general = {
        instance_types = ["m7g.large"]
        disk_gb        = 50
        min_size       = 1
        max_size       = 5
      }
      transcriber = {
        instance_types = ["c7i.xlarge"]
        disk_gb        = 50
        min_size       = 1
        max_size       = 4
      }
    }
  }

  expect_failures = [var.kubernetes_version, var.admin_role_arns, var.workloads, var.node_groups]
}

run "every_key_and_versions_that_hold_nothing_are_refused" {
  command = plan

  variables {
    volume_key_arn       = "*"
    addon_versions       = { vpc_cni = "v1.20.4-eksbuild.1" }
    tags                 = { "aws:owner" = "nobody" }
    container_log_groups = []
  }

  expect_failures = [var.volume_key_arn, var.addon_versions, var.tags, var.container_log_groups]
}
