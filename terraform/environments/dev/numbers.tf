# For trying things: as small as what it is made of allows, and gone in one command.

locals {
  environment  = "dev"
  cidr         = "10.10.0.0/16"
  zone_letters = ["a", "b", "c"]

  nat_per_zone   = false
  endpoint_zones = 1

  kubernetes_version = "1.34"

  node_groups = {
    # Three, because the bus has a server in each zone.
    general = {
      instance_types = ["t3.large"]
      disk_gb        = 40
      min_size       = 3
      max_size       = 4
    }
    transcriber = {
      instance_types       = ["c7i.xlarge"]
      disk_gb              = 40
      min_size             = 1
      max_size             = 2
      tainted              = true
      scale_at_cpu_percent = 60
    }
  }

  database = {
    instance_class    = "db.t4g.small"
    storage_gb        = 20
    max_storage_gb    = 100
    multi_az          = false
    connections_alarm = 150
  }

  infrequent_after_days = null
  replica_region        = null
  backup_lock           = false
  deletion_protection   = false
  monthly_budget_usd    = 900
}
