variable "account_id" {
  description = "Number of the account that this is for: Terraform does nothing in another."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account has a number of twelve digits."
  }
}

variable "region" {
  description = "The region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is named as eu-central-1 is."
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
  description = "Connection to GitHub (an output of bootstrap) for a runner inside the network; null until it is allowed on GitHub."
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
    condition     = alltrue([for arn in values(var.operator_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Give each role by its ARN, without \"*\"."
  }
}

variable "alarm_emails" {
  description = "Addresses that get alarms; each has to confirm once."
  type        = set(string)

  validation {
    condition     = length(var.alarm_emails) > 0 && alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[a-z]{2,}$", address))])
    error_message = "Name at least one address of mail, such as alarms@example.org: alarms that nobody gets are none."
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

variable "api_allowed_cidrs" {
  description = "Who may call the API and the bus through the load balancers."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Give ranges of addresses, such as 203.0.113.0/24."
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
    condition     = alltrue([for name, file in var.hosted_nats_credentials : startswith(name, "nats-") && length(trimspace(file)) > 0])
    error_message = "Give what is in each credentials file, by the name of its secret, such as nats-transcriber."
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
