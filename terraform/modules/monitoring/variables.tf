variable "name" {
  description = "First part of the names, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "environment" {
  description = "Value of the tag \"environment\", by which costs are told apart."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The environments are dev, staging and prod: the budget of another would count nothing."
  }
}

variable "cluster_name" {
  description = "The cluster."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "A cluster's name is made of letters, digits, '-' and '_', and has 100 of them at most."
  }
}

variable "database_identifier" {
  description = "The database instance."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.database_identifier)) && length(var.database_identifier) <= 63
    error_message = "A database is named in small letters, digits and single '-', such as speakr-dev, and not by its ARN."
  }
}

variable "database_storage_gb" {
  description = "Storage of the database, in GB: an alarm when a tenth of it is left."
  type        = number

  validation {
    condition     = var.database_storage_gb >= 20
    error_message = "Give the storage that the database begins with, which is 20 GB or more."
  }
}

variable "database_connections_alarm" {
  description = "Connections to the database at which somebody is told."
  type        = number

  validation {
    condition     = var.database_connections_alarm >= 20
    error_message = "The services alone hold 20 and more."
  }
}

variable "bucket" {
  description = "The bucket of record."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "Give the name of a bucket, such as speakr-dev-recordings-123456789012, not its ARN."
  }
}

variable "bucket_metric_filter" {
  description = "Name of the bucket's request metrics."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.bucket_metric_filter))
    error_message = "Request metrics are named in letters, digits, '.', '-' and '_', 64 of them at most."
  }
}

variable "nat_gateway_ids" {
  description = "NAT gateways by zone."
  type        = map(string)

  validation {
    condition     = length(var.nat_gateway_ids) > 0 && alltrue([for id in values(var.nat_gateway_ids) : can(regex("^nat-[0-9a-z]+$", id))])
    error_message = "Give the id of at least one NAT gateway, as in { eu-central-1a = \"nat-0123456789abcdef0\" }."
  }
}

variable "alarm_emails" {
  description = "Addresses that get alarms; each has to confirm once."
  type        = set(string)

  validation {
    condition     = length(var.alarm_emails) > 0
    error_message = "Name at least one address: alarms that nobody gets are none."
  }

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[a-z]{2,}$", address))])
    error_message = "Give addresses of mail, such as alarms@example.org."
  }
}

variable "monthly_budget_usd" {
  description = "What the environment may cost in a month, in US dollars; somebody is told at 80 % and when more is foreseen."
  type        = number

  validation {
    condition     = var.monthly_budget_usd >= 50
    error_message = "An environment costs more than that before anything is done in it."
  }
}

variable "log_retention_days" {
  description = "Days that logs of containers are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days."
  }
}

variable "metrics_retention_days" {
  description = "Days that Prometheus keeps metrics."
  type        = number
  default     = 150

  validation {
    condition     = var.metrics_retention_days >= 30 && var.metrics_retention_days <= 1095
    error_message = "30 to 1095 days."
  }
}
