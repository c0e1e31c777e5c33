variable "images" {
  description = "Names of the images, as the flake builds them."
  type        = set(string)
  default = [
    "speakr-transcriber",
    "speakr-embedder",
    "speakr-query-svc",
    "speakr-validate",
    "speakr-nats",
    "speakr-postgres",
    "speakr-s3",
    "speakr-otel-collector",
    "speakr-rclone",
  ]

  validation {
    condition     = alltrue([for image in var.images : can(regex("^speakr-[a-z0-9-]+$", image))])
    error_message = "Images are named speakr-…."
  }
}

variable "kept_builds" {
  description = "How many builds of main are kept of each image."
  type        = number
  default     = 50

  validation {
    condition     = var.kept_builds >= 10
    error_message = "Keep ten or more: what staging runs is among them."
  }
}

variable "pull_account_ids" {
  description = "Numbers of other accounts that environments are in, which may pull."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.pull_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "An account has a number of twelve digits."
  }
}
