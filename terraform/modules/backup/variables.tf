variable "name" {
  description = "Name of the vault, such as speakr-prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "database_arn" {
  description = "ARN of the database."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:db:[a-z][a-z0-9-]*$", var.database_arn))
    error_message = "Give the ARN of one database, without \"*\", such as arn:aws:rds:eu-central-1:123456789012:db:speakr-dev."
  }
}

variable "bucket_arn" {
  description = "ARN of the bucket of record."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket_arn))
    error_message = "Give the ARN of one bucket, without \"*\": a pattern would copy what isn't ours."
  }
}

variable "retention_days" {
  description = "Days that copies are kept."
  type        = number
  default     = 35

  validation {
    condition     = var.retention_days >= 7 && var.retention_days <= 35
    error_message = "7 to 35 days: longer would keep what people deleted (docs/runbook.md)."
  }
}

variable "lock" {
  description = "Whether the vault is locked, for good after 14 days."
  type        = bool
}

variable "administrator_role_arns" {
  description = "Roles that may change the vault's policy and delete copies before their time, where there is no lock."
  type        = map(string)

  validation {
    condition     = length(var.administrator_role_arns) > 0
    error_message = "Name at least one: without, nobody could change the vault's policy again."
  }

  validation {
    condition     = alltrue([for arn in values(var.administrator_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Give each role by its ARN, without \"*\": who matches it deletes copies."
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
