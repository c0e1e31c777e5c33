variable "name" {
  description = "Name of the cluster and first part of the names around it, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them: roles of add-ons are named after it."
  }
}

variable "kubernetes_version" {
  description = "Version of Kubernetes. One step at a time when it is raised."
  type        = string
  default     = "1.34"

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "Kubernetes 1.33 or newer is needed, as in 1.34."
  }
}

variable "vpc_id" {
  description = "The VPC, for the load balancer's security group."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "Give the id of a VPC, such as vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Private subnets in three zones, for nodes and the control plane's end points."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) == 3
    error_message = "The cluster stands in three zones."
  }
}

variable "service_cidr" {
  description = "Addresses of Kubernetes services, which nothing outside the cluster sees; apart from the network's own."
  type        = string
  default     = "172.20.0.0/16"

  validation {
    condition     = can(cidrhost(var.service_cidr, 0))
    error_message = "Give a range of addresses, such as 172.20.0.0/16."
  }
}

variable "namespace" {
  description = "Namespace of speakr's pods."
  type        = string
  default     = "speakr"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "A namespace is named in small letters, digits and '-', such as speakr."
  }
}

variable "admin_role_arns" {
  description = "Roles that administer the cluster, by a name of yours for each."
  type        = map(string)

  validation {
    condition     = length(var.admin_role_arns) > 0
    error_message = "Name at least one administrator: the role that makes the cluster is none."
  }

  validation {
    condition     = alltrue([for arn in values(var.admin_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/", arn))])
    error_message = "An administrator is an IAM role's ARN; sessions and the root user are not taken."
  }
}

variable "node_groups" {
  description = "Groups of nodes, general and transcriber: types of instances, disk, least and most nodes, whether pods need a toleration, and at which use of processors a node is added."
  type = map(object({
    instance_types       = list(string)
    disk_gb              = number
    min_size             = number
    max_size             = number
    tainted              = optional(bool, false)
    scale_at_cpu_percent = optional(number)
  }))

  validation {
    condition     = length(setsubtract(["general", "transcriber"], keys(var.node_groups))) == 0
    error_message = "The groups general and transcriber are needed: the manifests place pods on them."
  }

  validation {
    condition     = try(var.node_groups["transcriber"].tainted && !var.node_groups["general"].tainted, false)
    error_message = "The transcriber's nodes are tainted, and the general ones are not."
  }

  validation {
    condition     = try(var.node_groups["general"].min_size >= 3, false)
    error_message = "Three general nodes are the least: the bus has a server in each zone."
  }

  validation {
    condition     = alltrue([for group in values(var.node_groups) : group.max_size >= group.min_size && group.min_size >= 1])
    error_message = "A group has at least one node, and its most isn't below its least."
  }

  validation {
    # Compiled speech code wants AVX2, which Intel's and AMD's have; Graviton is another architecture.
    condition     = alltrue(flatten([for group in values(var.node_groups) : [for type in group.instance_types : can(regex("^[a-z]+[0-9]+[a-fh-z-]*\\.[0-9a-z]+$", type))]]))
    error_message = "The images are for x86-64: take Intel or AMD instances (m7i.large, c7a.xlarge, t3.large), not Graviton (m7g, t4g)."
  }

  validation {
    condition     = alltrue([for group in values(var.node_groups) : group.disk_gb >= 30])
    error_message = "A node's disk has at least 30 GB: images, and sound that is worked on."
  }
}

variable "workloads" {
  description = "Service accounts that ask AWS for something, each with its policy as JSON."
  type = map(object({
    policy = string
  }))

  validation {
    condition     = alltrue([for name in keys(var.workloads) : can(regex("^speakr-[a-z-]{2,24}$", name))])
    error_message = "Service accounts are named speakr-…, as in k8s/."
  }
}

variable "volume_key_arn" {
  description = "The key of the storage class: volumes of the bus are encrypted with it."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.volume_key_arn))
    error_message = "Give the ARN of one KMS key, without \"*\", and not of an alias: a role may use what it names."
  }
}

variable "api_allowed_cidrs" {
  description = "Who may call the API through the load balancer. It listens on 443 alone, and every call needs a token."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Give ranges of addresses, such as 203.0.113.0/24."
  }
}

variable "addon_versions" {
  description = "Versions of add-ons that are to stay as they are, by add-on; AWS's choice for the others."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.addon_versions), concat(keys(local.before_nodes), keys(local.after_nodes)))) == 0
    error_message = "Name add-ons that addons.tf has, such as vpc-cni: a version of another would hold nothing."
  }

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "A version of an add-on is named as v1.20.4-eksbuild.1 is."
  }
}

variable "container_log_groups" {
  description = "Log groups that the add-on amazon-cloudwatch-observability writes to: there before it, and gone after it."
  type        = list(string)

  validation {
    condition     = length(var.container_log_groups) > 0 && alltrue([for group in var.container_log_groups : startswith(group, "/aws/containerinsights/")])
    error_message = "Give the names of the groups, such as /aws/containerinsights/speakr-dev/application: the add-on makes those that aren't there, without a key and an end."
  }
}

variable "log_retention_days" {
  description = "Days that the control plane's logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days."
  }
}

variable "deletion_protection" {
  description = "Whether the cluster can't be deleted until this is taken back."
  type        = bool
}

variable "tags" {
  description = "Tags of machines and their disks, which the provider's default tags don't reach."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.tags : can(regex("^[A-Za-z0-9 +=._:/@-]{1,128}$", name)) && can(regex("^[A-Za-z0-9 +=._:/@-]{0,256}$", value)) && !startswith(lower(name), "aws:")])
    error_message = "A tag's name (128 at most) and value (256 at most) are made of letters, digits, spaces and + - = . _ : / @, and the name doesn't begin with aws:."
  }
}
