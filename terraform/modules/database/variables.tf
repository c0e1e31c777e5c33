variable "name" {
  description = "Name of the database instance, such as speakr-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,40}$", var.name))
    error_message = "The name is made of small letters, digits and '-'."
  }
}

variable "engine_version" {
  description = "Version of PostgreSQL: 17, or one of its minor versions. pgvector 0.8 comes with 17.1 and later."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^17(\\.[1-9][0-9]*)?$", var.engine_version))
    error_message = "PostgreSQL 17.1 or a later 17 is needed: 17.0 has no pgvector 0.8."
  }
}

variable "instance_class" {
  description = "Class of the instance, such as db.t4g.medium."
  type        = string

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class)) && !can(regex("^db\\.[tm][123]\\.", var.instance_class))
    error_message = "The class is named as db.m7g.large is; of the old t and m none encrypts or has insights throughout."
  }
}

variable "storage_gb" {
  description = "Storage to begin with, in GB."
  type        = number

  validation {
    condition     = var.storage_gb >= 20
    error_message = "gp3 begins with 20 GB."
  }
}

variable "max_storage_gb" {
  description = "How far storage may grow by itself, in GB."
  type        = number

  validation {
    condition     = var.max_storage_gb > var.storage_gb
    error_message = "Storage has to have room to grow: a full database stops."
  }
}

variable "multi_az" {
  description = "Whether a second instance in another zone takes over when the first fails."
  type        = bool
}

variable "vpc_id" {
  description = "The VPC."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "Give the id of a VPC, such as vpc-0123456789abcdef0."
  }
}

variable "subnet_group" {
  description = "The group of subnets without a road to the internet."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9._-]{0,254}$", var.subnet_group)) && var.subnet_group != "default"
    error_message = "Give the name of the network's own group of database subnets: AWS's \"default\" is of subnets that are open to the internet."
  }
}

variable "node_security_group_id" {
  description = "Security group of the cluster's nodes: the only one that gets in."
  type        = string

  validation {
    # EKS makes the group, so its id's form is left to AWS; an ARN or nothing at all isn't one.
    condition     = can(regex("^[a-z][a-z0-9_-]+$", var.node_security_group_id))
    error_message = "Give the id of a security group, such as sg-0123456789abcdef0, not its ARN."
  }
}

variable "backup_retention_days" {
  description = "Days that can be gone back to."
  type        = number
  default     = 35

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "RDS goes back 35 days at most, and less than 7 isn't worth having."
  }
}

variable "deletion_protection" {
  description = "Whether the database can't be deleted until this is taken back."
  type        = bool
}

variable "insights_retention_days" {
  description = "Days that Performance Insights keeps: 7 costs nothing."
  type        = number
  default     = 7

  validation {
    condition     = contains([7, 465, 731], var.insights_retention_days)
    error_message = "7 (standard, free), 465 or 731 (advanced) days."
  }
}

variable "log_retention_days" {
  description = "Days that the database's logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days."
  }
}
