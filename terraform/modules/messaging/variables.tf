variable "name" {
  description = "First part of the names, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "mode" {
  description = "Where the bus is: in_cluster (three servers by the manifests of k8s/), or hosted by somebody else."
  type        = string
  default     = "in_cluster"

  validation {
    condition     = contains(["in_cluster", "hosted"], var.mode)
    error_message = "The bus is in_cluster or hosted."
  }
}

variable "hosted_url" {
  description = "Servers of a hosted bus, separated by commas; with mode = \"hosted\" alone."
  type        = string
  default     = null

  validation {
    condition     = (var.mode == "hosted") == (var.hosted_url != null)
    error_message = "hosted_url goes with mode = \"hosted\", and that needs it."
  }

  validation {
    condition     = var.hosted_url == null ? true : alltrue([for url in split(",", var.hosted_url) : startswith(url, "tls://") || startswith(url, "wss://")])
    error_message = "A bus outside the cluster is reached by tls:// or wss:// alone."
  }
}

variable "hosted_credentials" {
  description = "Credentials files (JWT and seed) of a hosted bus, by the name of their secret (nats-transcriber, …). Never stored by Terraform."
  type        = map(string)
  default     = {}
  ephemeral   = true

  validation {
    condition     = var.mode != "hosted" || length(setsubtract(keys(var.credential_secret_arns), keys(var.hosted_credentials))) == 0
    error_message = "A hosted bus needs the credentials of each user: nats-transcriber, nats-embedder, nats-query-svc, nats-cli and nats-operator."
  }

  validation {
    condition     = alltrue([for file in values(var.hosted_credentials) : length(trimspace(file)) > 0])
    error_message = "Give what is in each credentials file: an empty one lets nobody in."
  }
}

variable "hosted_credentials_version" {
  description = "Count up to have changed credentials of a hosted bus written."
  type        = number
  default     = 1

  validation {
    condition     = var.hosted_credentials_version >= 1 && floor(var.hosted_credentials_version) == var.hosted_credentials_version
    error_message = "Count in whole numbers, from 1 up."
  }
}

variable "credential_secret_arns" {
  description = "The vault's entries for users of the bus, by name."
  type        = map(string)

  validation {
    condition     = alltrue([for name, arn in var.credential_secret_arns : can(regex("^nats-[a-z-]+$", name)) && can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))])
    error_message = "Give each entry by its name (nats-…) and its ARN, without \"*\"."
  }
}

variable "cluster_name" {
  description = "The cluster that the bus stands in, for its alarm."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "A cluster's name is made of letters, digits, '-' and '_', and has 100 of them at most."
  }
}

variable "namespace" {
  description = "The namespace that the bus stands in."
  type        = string
  default     = "speakr"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "A namespace is named in small letters, digits and '-', such as speakr."
  }
}

variable "log_bucket" {
  description = "Bucket for the access log of the copies."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.log_bucket))
    error_message = "Give the name of a bucket, such as speakr-dev-access-logs-123456789012, not its ARN."
  }
}

variable "alarm_topic_arn" {
  description = "Where alarms go."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", var.alarm_topic_arn))
    error_message = "Give the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:speakr-dev-alarms."
  }
}

variable "backup_days" {
  description = "Days that copies of streams are kept."
  type        = number
  default     = 35

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "1 to 35 days: longer would keep what people deleted."
  }
}

variable "copies_every_hours" {
  description = "How often copies of the streams are due, for an alarm when none comes; null where no job makes them and people do (docs/runbook.md)."
  type        = number
  default     = null

  validation {
    condition     = var.copies_every_hours == null ? true : contains([1, 2, 3, 4, 6, 8, 12], var.copies_every_hours)
    error_message = "Copies are due every 1, 2, 3, 4, 6, 8 or 12 hours."
  }
}
