variable "name" {
  description = "Name of the network and first part of the names in it, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.name))
    error_message = "The name is made of small letters, digits and '-', and has 3 to 31 of them."
  }
}

variable "cidr" {
  description = "Addresses of the network: a /16 of those that are private (RFC 1918)."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16") && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
    error_message = "The network needs a private /16, such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "Three zones of the region. They are named, so that a new zone of AWS's moves nothing."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) == 3 && length(distinct(var.availability_zones)) == 3
    error_message = "Three different zones are needed: JetStream and the database stand in three."
  }

  validation {
    condition     = alltrue([for zone in var.availability_zones : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", zone))])
    error_message = "A zone is named as eu-central-1a is."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own (production), or all share the first zone's."
  type        = bool
}

variable "endpoint_zones" {
  description = "In how many zones the interface endpoints stand. Each costs by the hour; one serves all zones, until its zone fails."
  type        = number

  validation {
    condition     = contains([1, 2, 3], var.endpoint_zones)
    error_message = "There are three zones: 1, 2 or 3."
  }
}

variable "flow_log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days."
  }
}
