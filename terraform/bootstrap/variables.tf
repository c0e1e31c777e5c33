variable "account_id" {
  description = "Number of the account that this is for: Terraform does nothing in another."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account has a number of twelve digits."
  }
}

variable "region" {
  description = "Region of the state, the registry and the environments."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is named as eu-central-1 is."
  }
}

variable "github_repository" {
  description = "The repository on GitHub that may publish, as OWNER/NAME."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "Name one repository, as in owner/name."
  }
}

variable "state_role_arns" {
  description = "Roles that run Terraform, by a name of yours for each: nobody else reads a state."
  type        = map(string)

  validation {
    condition     = length(var.state_role_arns) > 0 && alltrue([for arn in values(var.state_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "Name at least one role by its ARN, without \"*\"."
  }
}

variable "pull_account_ids" {
  description = "Numbers of other accounts that environments are in: they may pull images."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.pull_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "An account has a number of twelve digits."
  }
}
