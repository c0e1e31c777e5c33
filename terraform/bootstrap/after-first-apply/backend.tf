# The state of this root itself moves into the bucket that it made (docs/operations.md).
terraform {
  backend "s3" {
    key          = "speakr/bootstrap/terraform.tfstate"
    use_lockfile = true
    encrypt      = true
  }
}
