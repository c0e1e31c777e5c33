# What people use: a zone may fail, and nothing is deleted by a hand that slips.

locals {
  environment  = "prod"
  cidr         = "10.30.0.0/16"
  zone_letters = ["a", "b", "c"]

  nat_per_zone   = true
  endpoint_zones = 3

  kubernetes_version = "1.34"

  node_groups = {
    general = {
      instance_types = ["m7i.xlarge"]
      disk_gb        = 80
      min_size       = 3
      max_size       = 9
    }
    transcriber = {
      instance_types       = ["c7i.2xlarge"]
      disk_gb              = 80
      min_size             = 2
      max_size             = 12
      tainted              = true
      scale_at_cpu_percent = 60
    }
  }

  database = {
    instance_class          = "db.m7g.large"
    storage_gb              = 100
    max_storage_gb          = 1000
    multi_az                = true
    insights_retention_days = 465
    connections_alarm       = 600
  }

  infrequent_after_days = 90
  replica_region        = null
  backup_lock           = true
  deletion_protection   = true
  monthly_budget_usd    = 3500
}
