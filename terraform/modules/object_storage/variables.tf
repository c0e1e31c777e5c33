variable "name" {
  description = "First part of the buckets' names, such as speakr-dev; the account's number follows."
  type        = string

  validation {
    # "-recordings-replica-" and the account's number have to fit into 63.
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "noncurrent_days" {
  description = "Days that an overwritten or deleted object can be got back."
  type        = number
  default     = 35

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 35
    error_message = "1 to 35 days: longer would keep what people deleted (docs/runbook.md)."
  }
}

variable "infrequent_after_days" {
  description = "After how many days sound goes where storage is cheaper and reading isn't free; never where null."
  type        = number
  default     = null

  validation {
    condition     = var.infrequent_after_days == null ? true : var.infrequent_after_days >= 30
    error_message = "S3 moves objects after 30 days at the earliest."
  }
}

variable "access_log_days" {
  description = "Days that access logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.access_log_days >= 30
    error_message = "Keep access logs for 30 days or more: what is noticed late is looked up there."
  }
}

variable "replica_region" {
  description = "Region of a copy, or null for none. A copy keeps what is deleted here: read the README first."
  type        = string
  default     = null

  validation {
    condition     = var.replica_region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.replica_region))
    error_message = "A region is named as eu-west-1 is."
  }
}
