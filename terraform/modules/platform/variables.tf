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

  validation {
    condition     = can(regex("^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "Name one repository, as in owner/name."
  }
}

variable "github_connection_arn" {
  description = "Connection to GitHub for the runner inside the network (an output of bootstrap); null for no runner."
  type        = string
  default     = null

  validation {
    condition     = var.github_connection_arn == null ? true : can(regex("^arn:aws[a-z-]*:codeconnections:[a-z0-9-]+:[0-9]{12}:connection/[A-Za-z0-9-]+$", var.github_connection_arn))
    error_message = "Give the connection's ARN (the output github_connection_arn of bootstrap), or null."
  }
}

variable "registry_account_id" {
  description = "Account of the registry, where it isn't this one."
  type        = string
  default     = null

  validation {
    condition     = var.registry_account_id == null ? true : can(regex("^[0-9]{12}$", var.registry_account_id))
    error_message = "An account has a number of twelve digits."
  }
}

variable "images" {
  description = "Images that are pulled from the registry."
  type        = set(string)
  default     = ["speakr-transcriber", "speakr-embedder", "speakr-query-svc", "speakr-validate", "speakr-nats", "speakr-otel-collector", "speakr-rclone"]

  validation {
    condition     = length(var.images) > 0 && alltrue([for image in var.images : can(regex("^speakr-[a-z0-9-]+$", image))])
    error_message = "Images are named speakr-…, and there is at least one."
  }
}

variable "admin_role_arns" {
  description = "Roles that administer the cluster and the backups, by a name of yours for each."
  type        = map(string)

  validation {
    condition     = length(var.admin_role_arns) > 0 && alltrue([for arn in values(var.admin_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Name at least one role by its ARN, without \"*\"."
  }
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

  validation {
    condition     = alltrue([for arn in values(var.operator_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Give each role by its ARN, without \"*\"."
  }
}

variable "cidr" {
  description = "Addresses of the network, a private /16 of its own in each environment."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16") && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
    error_message = "The network needs a private /16, such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "Three zones of the region."
  type        = list(string)

  validation {
    condition     = length(distinct(var.availability_zones)) == 3 && length(var.availability_zones) == 3 && alltrue([for zone in var.availability_zones : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", zone))])
    error_message = "Name three different zones, as in eu-central-1a: JetStream and the database stand in three."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has its own NAT gateway."
  type        = bool
}

variable "endpoint_zones" {
  description = "In how many zones the end points of AWS stand."
  type        = number

  validation {
    condition     = contains([1, 2, 3], var.endpoint_zones)
    error_message = "There are three zones: 1, 2 or 3."
  }
}

variable "kubernetes_version" {
  description = "Version of Kubernetes."
  type        = string
  default     = "1.34"

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "Kubernetes 1.33 or newer is needed, as in 1.34."
  }
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

  validation {
    condition     = length(setsubtract(["general", "transcriber"], keys(var.node_groups))) == 0
    error_message = "The groups general and transcriber are needed: the manifests place pods on them."
  }

  validation {
    condition     = alltrue([for group in values(var.node_groups) : length(group.instance_types) > 0 && group.min_size >= 1 && group.max_size >= group.min_size])
    error_message = "A group has a type of instance and at least one node, and its most isn't below its least."
  }
}

variable "addon_versions" {
  description = "Versions of add-ons that are to stay as they are."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "A version of an add-on is named as v1.20.4-eksbuild.1 is."
  }
}

variable "api_allowed_cidrs" {
  description = "Who may call the API and the bus through the load balancers."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Give ranges of addresses, such as 203.0.113.0/24."
  }
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

  validation {
    condition     = var.hostnames == null ? true : var.hostnames.api != var.hostnames.bus
    error_message = "The API and the bus have a load balancer each: give them different names."
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

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.database.instance_class))
    error_message = "The class is named as db.m7g.large is."
  }

  validation {
    condition     = var.database.storage_gb >= 20 && var.database.max_storage_gb > var.database.storage_gb
    error_message = "Storage begins with 20 GB, and max_storage_gb is above storage_gb: a full database stops."
  }

  validation {
    condition     = var.database.connections_alarm >= 20
    error_message = "Give connections_alarm 20 or more: the services alone hold so many."
  }
}

variable "infrequent_after_days" {
  description = "After how many days sound goes to cheaper storage; never where null."
  type        = number
  default     = null

  validation {
    condition     = var.infrequent_after_days == null ? true : var.infrequent_after_days >= 30
    error_message = "S3 moves objects after 30 days at the earliest."
  }
}

variable "replica_region" {
  description = "Region of a copy of the bucket, or null. Read modules/object_storage/README.md first."
  type        = string
  default     = null

  validation {
    condition     = var.replica_region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.replica_region))
    error_message = "A region is named as eu-west-1 is."
  }
}

variable "messaging" {
  description = "Where the bus is: in_cluster or hosted."
  type        = string
  default     = "in_cluster"

  validation {
    condition     = contains(["in_cluster", "hosted"], var.messaging)
    error_message = "The bus is in_cluster or hosted."
  }
}

variable "hosted_nats_url" {
  description = "Servers of a hosted bus; with messaging = \"hosted\" alone."
  type        = string
  default     = null

  validation {
    condition     = (var.messaging == "hosted") == (var.hosted_nats_url != null)
    error_message = "hosted_nats_url goes with messaging = \"hosted\", and that needs it."
  }

  validation {
    condition     = var.hosted_nats_url == null ? true : alltrue([for url in split(",", var.hosted_nats_url) : startswith(url, "tls://") || startswith(url, "wss://")])
    error_message = "A bus outside the cluster is reached by tls:// or wss:// alone."
  }
}

variable "hosted_nats_credentials" {
  description = "Credentials files of a hosted bus, by the name of their secret. Never stored by Terraform."
  type        = map(string)
  default     = {}
  ephemeral   = true

  validation {
    condition     = length(setsubtract(keys(var.hosted_nats_credentials), local.bus_users)) == 0
    error_message = "The bus's users are nats-transcriber, nats-embedder, nats-query-svc, nats-cli and nats-operator: there is a file for each of them."
  }

  validation {
    condition     = alltrue([for file in values(var.hosted_nats_credentials) : length(trimspace(file)) > 0])
    error_message = "Give what is in each credentials file: an empty one lets nobody in."
  }
}

variable "hosted_nats_credentials_version" {
  description = "Count up to have changed credentials of a hosted bus written."
  type        = number
  default     = 1

  validation {
    condition     = var.hosted_nats_credentials_version >= 1 && floor(var.hosted_nats_credentials_version) == var.hosted_nats_credentials_version
    error_message = "Count in whole numbers, from 1 up."
  }
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

  validation {
    condition     = length(var.alarm_emails) > 0 && alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[a-z]{2,}$", address))])
    error_message = "Name at least one address of mail, such as alarms@example.org: alarms that nobody gets are none."
  }
}

variable "monthly_budget_usd" {
  description = "What the environment may cost in a month, in US dollars."
  type        = number

  validation {
    condition     = var.monthly_budget_usd >= 50
    error_message = "Give 50 dollars or more: an environment costs that before anything is done in it."
  }
}
