variable "name" {
  description = "Name of the key, as in alias/NAME."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9/_-]{1,120}$", var.name)) && !startswith(var.name, "aws/")
    error_message = "A key's name is made of small letters, digits, '/', '_' and '-', and doesn't begin with aws/."
  }
}

variable "description" {
  description = "What the key protects."
  type        = string

  validation {
    condition     = length(trimspace(var.description)) >= 10
    error_message = "Say what the key protects, in ten letters or more."
  }
}

variable "services" {
  description = "AWS services that use the key on their own account, each with conditions that bind it to what is ours. What people and pods may do is in their own policies."
  type = list(object({
    sid        = string
    principal  = string
    actions    = optional(list(string))
    conditions = map(map(list(string)))
  }))
  default = []

  validation {
    condition     = alltrue([for user in var.services : length(user.conditions) > 0])
    error_message = "A service needs a condition: without one it could use the key for anybody's resources."
  }

  validation {
    condition     = alltrue([for user in var.services : endswith(user.principal, ".amazonaws.com")])
    error_message = "The principal is a service of AWS, such as logs.eu-central-1.amazonaws.com."
  }
}

variable "deletion_window_in_days" {
  description = "Days during which a deletion of the key can be taken back."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30
    error_message = "AWS takes 7 to 30 days."
  }
}

variable "region" {
  description = "Region of the key, where it isn't the provider's."
  type        = string
  default     = null

  validation {
    condition     = var.region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is named as eu-west-1 is."
  }
}
