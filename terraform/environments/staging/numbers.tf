# Where a release is tried before production: of the same kinds, in smaller numbers.

locals {
  environment  = "staging"
  cidr         = "10.20.0.0/16"
  zone_letters = ["a", "b", "c"]

  nat_per_zone   = false
  endpoint_zones = 1

  kubernetes_version = "1.34"

  node_groups = {
    general = {
      instance_types = ["m7i.large"]
      disk_gb        = 50
      min_size       = 3
      max_size       = 5
    }
    transcriber = {
      instance_types       = ["c7i.2xlarge"]
      disk_gb              = 50
      min_size             = 1
      max_size             = 3
      tainted              = true
      scale_at_cpu_percent = 60
    }
  }

  database = {
    instance_class    = "db.t4g.medium"
    storage_gb        = 50
    max_storage_gb    = 200
    multi_az          = false
    connections_alarm = 300
  }

  infrequent_after_days = null
  replica_region        = null
  backup_lock           = false
  deletion_protection   = true
  monthly_budget_usd    = 1400
}
