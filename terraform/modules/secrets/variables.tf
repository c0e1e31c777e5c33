variable "name" {
  description = "First part of the key's name, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "environment" {
  description = "The environment: secrets are named speakr/ENVIRONMENT/NAME."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,12}$", var.environment))
    error_message = "An environment's name is made of small letters."
  }
}

variable "entries" {
  description = "Secrets by name, with what they hold and which service accounts may read them."
  type = map(object({
    description = string
    readers     = set(string)
  }))

  validation {
    condition     = alltrue([for name in keys(var.entries) : can(regex("^[a-z][a-z0-9-]{1,40}$", name))])
    error_message = "A secret's name is made of small letters, digits and '-'."
  }

  validation {
    condition     = alltrue([for entry in values(var.entries) : length(entry.readers) > 0])
    error_message = "A secret that nobody reads isn't needed."
  }
}

variable "reader_role_arns" {
  description = "Roles of the service accounts that `entries` names."
  type        = map(string)

  validation {
    condition     = alltrue([for arn in values(var.reader_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Give each role by its ARN, without \"*\": who matches it reads the secret."
  }

  validation {
    condition     = alltrue(flatten([for entry in values(var.entries) : [for reader in entry.readers : contains(keys(var.reader_role_arns), reader)]]))
    error_message = "Give the role of each service account that `entries` names."
  }
}

variable "operator_role_arns" {
  description = "Roles of people who may read every secret, by a name of yours for each. Empty: nobody."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.operator_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "Give each role by its ARN, without \"*\": who matches it reads every secret."
  }
}

variable "recovery_window_in_days" {
  description = "Days during which a deleted secret can be got back."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30
    error_message = "7 to 30 days. At once (0) would be without return."
  }
}
