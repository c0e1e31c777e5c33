variable "environment" {
  description = "Name of the environment: dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The environments are dev, staging and prod."
  }
}

variable "github_repository" {
  description = "The repository on GitHub that may deploy here, as OWNER/NAME."
  type        = string
}

variable "github_connection_arn" {
  description = "Connection to GitHub for the runner inside the network (an output of bootstrap); null for no runner."
  type        = string
  default     = null
}

variable "registry_account_id" {
  description = "Account of the registry, where it isn't this one."
  type        = string
  default     = null
}

variable "images" {
  description = "Images that are pulled from the registry."
  type        = set(string)
  default     = ["speakr-transcriber", "speakr-embedder", "speakr-query-svc", "speakr-validate", "speakr-nats", "speakr-otel-collector", "speakr-rclone"]
}

variable "admin_role_arns" {
  description = "Roles that administer the cluster and the backups, by a name of yours for each."
  type        = map(string)
}

variable "operator_role_arns" {
  description = "Roles of people who may read every secret, by a name of yours for each. Empty: nobody."
  type        = map(string)
  default     = {}

  validation {
    # The provider reads a version back to see that it is still there, though not into the state.
    condition     = var.messaging != "hosted" || length(var.operator_role_arns) > 0
    error_message = "With a hosted bus Terraform writes its credentials, and reads back whether they are there: name the role that runs Terraform."
  }
}

variable "cidr" {
  description = "Addresses of the network, a private /16 of its own in each environment."
  type        = string
}

variable "availability_zones" {
  description = "Three zones of the region."
  type        = list(string)
}

variable "nat_per_zone" {
  description = "Whether each zone has its own NAT gateway."
  type        = bool
}

variable "endpoint_zones" {
  description = "In how many zones the end points of AWS stand."
  type        = number
}

variable "kubernetes_version" {
  description = "Version of Kubernetes."
  type        = string
  default     = "1.34"
}

variable "node_groups" {
  description = "Groups of nodes, as module cluster has them."
  type = map(object({
    instance_types       = list(string)
    disk_gb              = number
    min_size             = number
    max_size             = number
    tainted              = optional(bool, false)
    scale_at_cpu_percent = optional(number)
  }))
}

variable "addon_versions" {
  description = "Versions of add-ons that are to stay as they are."
  type        = map(string)
  default     = {}
}

variable "api_allowed_cidrs" {
  description = "Who may call the API and the bus through the load balancers."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "hostnames" {
  description = "Names of the API and of the bus, for their certificate; null for none yet."
  type = object({
    api = string
    bus = string
  })
  default = null

  validation {
    condition     = var.hostnames == null ? true : alltrue([for name in [var.hostnames.api, var.hostnames.bus] : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", name))])
    error_message = "A name is such as speakr.example.org, without scheme or port."
  }
}

variable "database" {
  description = "The database: class, storage, whether a second zone stands by, and when its connections are too many."
  type = object({
    engine_version          = optional(string, "17")
    instance_class          = string
    storage_gb              = number
    max_storage_gb          = number
    multi_az                = bool
    insights_retention_days = optional(number, 7)
    connections_alarm       = number
  })
}

variable "infrequent_after_days" {
  description = "After how many days sound goes to cheaper storage; never where null."
  type        = number
  default     = null
}

variable "replica_region" {
  description = "Region of a copy of the bucket, or null. Read modules/object_storage/README.md first."
  type        = string
  default     = null
}

variable "messaging" {
  description = "Where the bus is: in_cluster or hosted."
  type        = string
  default     = "in_cluster"
}

variable "hosted_nats_url" {
  description = "Servers of a hosted bus; with messaging = \"hosted\" alone."
  type        = string
  default     = null
}

variable "hosted_nats_credentials" {
  description = "Credentials files of a hosted bus, by the name of their secret. Never stored by Terraform."
  type        = map(string)
  default     = {}
  ephemeral   = true
}

variable "hosted_nats_credentials_version" {
  description = "Count up to have changed credentials of a hosted bus written."
  type        = number
  default     = 1
}

variable "backup_lock" {
  description = "Whether backups are locked for good, 14 days after the first apply."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether cluster and database can't be deleted until this is taken back."
  type        = bool
}

variable "alarm_emails" {
  description = "Addresses that get alarms."
  type        = set(string)
}

variable "monthly_budget_usd" {
  description = "What the environment may cost in a month, in US dollars."
  type        = number
}
