variable "github_repository" {
  description = "The repository on GitHub that may publish and deploy, as OWNER/NAME."
  type        = string

  validation {
    # No "*" and no "?": IAM would take them for any repository, were they ever compared so.
    condition     = can(regex("^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "Name one repository, as in owner/name."
  }
}

variable "repository_arns" {
  description = "ARNs of the registry's repositories: the publish role pushes to them, the deploy role pulls from them."
  type        = list(string)

  validation {
    condition     = length(var.repository_arns) > 0 && alltrue([for arn in var.repository_arns : can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9._/-]+$", arn))])
    error_message = "Name each repository by its ARN, without \"*\"."
  }
}

variable "publish" {
  description = "The role that pushes images, or null where it isn't made: once, beside the registry."
  type = object({
    environment = optional(string, "release")
  })
  default = null

  validation {
    condition     = var.publish == null ? true : can(regex("^[a-z0-9-]{2,30}$", var.publish.environment))
    error_message = "A GitHub environment is named in small letters here."
  }
}

variable "deploy" {
  description = "The role that deploys to one cluster, or null where it isn't made; with a runner inside the network, or null where deployments come from elsewhere."
  type = object({
    environment  = string
    cluster_name = string
    cluster_arn  = string
    runner = optional(object({
      connection_arn            = string
      vpc_id                    = string
      subnet_ids                = list(string)
      cluster_security_group_id = string
      log_key_arn               = string
      workflow_names            = optional(list(string), ["release", "ci"])
    }))
  })
  default = null

  validation {
    condition     = var.deploy == null ? true : can(regex("^[a-z0-9-]{2,30}$", var.deploy.environment))
    error_message = "A GitHub environment is named in small letters here."
  }

  validation {
    condition     = var.deploy == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", var.deploy.cluster_name)) && can(regex("^arn:aws[a-z-]*:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$", var.deploy.cluster_arn))
    error_message = "Name one cluster, and give its ARN, without \"*\"."
  }

  validation {
    # The names become a pattern, so what means something in one isn't taken.
    condition     = var.deploy == null ? true : (var.deploy.runner == null ? true : length(var.deploy.runner.workflow_names) > 0 && alltrue([for name in var.deploy.runner.workflow_names : can(regex("^[A-Za-z0-9][A-Za-z0-9 _-]*$", name))]))
    error_message = "Name each workflow that deploys in full: a pattern would give others a machine inside the network."
  }

  validation {
    condition     = var.deploy == null ? true : (var.deploy.runner == null ? true : can(regex("^arn:aws[a-z-]*:codeconnections:[a-z0-9-]+:[0-9]{12}:connection/[A-Za-z0-9-]+$", var.deploy.runner.connection_arn)) && can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.deploy.runner.log_key_arn)))
    error_message = "Give the runner the ARN of a connection (codeconnections) and that of a KMS key, without \"*\"."
  }

  validation {
    # EKS makes the group, so its id's form is left to AWS; an ARN or nothing at all isn't one.
    condition     = var.deploy == null ? true : (var.deploy.runner == null ? true : can(regex("^vpc-[0-9a-z]+$", var.deploy.runner.vpc_id)) && length(var.deploy.runner.subnet_ids) > 0 && alltrue([for id in var.deploy.runner.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))]) && can(regex("^[a-z][a-z0-9_-]+$", var.deploy.runner.cluster_security_group_id)))
    error_message = "Give the runner the ids of a VPC, of subnets in it and of the cluster's security group, such as vpc-0123456789abcdef0, not their ARNs."
  }
}

variable "kubernetes_group" {
  description = "Kubernetes group of the deploy role; k8s/cluster binds it."
  type        = string
  default     = "speakr:deployers"

  validation {
    condition     = !startswith(var.kubernetes_group, "system:")
    error_message = "A group of Kubernetes's own (system:…) would be far more than a deployment needs, and EKS refuses it."
  }
}
