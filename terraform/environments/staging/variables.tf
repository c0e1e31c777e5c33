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
}

variable "github_connection_arn" {
  description = "Connection to GitHub (an output of bootstrap) for a runner inside the network; null until it is allowed on GitHub."
  type        = string
  default     = null
}

variable "registry_account_id" {
  description = "Account of the registry, where it isn't this one."
  type        = string
  default     = null
}

variable "admin_role_arns" {
  description = "Roles that administer the cluster and the backups, by a name of yours for each."
  type        = map(string)
}

variable "operator_role_arns" {
  description = "Roles of people who may read every secret, by a name of yours for each. Empty: nobody."
  type        = map(string)
  default     = {}
}

variable "alarm_emails" {
  description = "Addresses that get alarms; each has to confirm once."
  type        = set(string)
}

variable "hostnames" {
  description = "Names of the API and of the bus, for their certificate; null for none yet."
  type = object({
    api = string
    bus = string
  })
  default = null
}

variable "api_allowed_cidrs" {
  description = "Who may call the API and the bus through the load balancers."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "addon_versions" {
  description = "Versions of add-ons that are to stay as they are."
  type        = map(string)
  default     = {}
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
