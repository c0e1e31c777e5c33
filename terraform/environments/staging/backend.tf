# Bucket, region and key are the account's: terraform init -backend-config=… (docs/operations.md).
terraform {
  backend "s3" {
    key          = "speakr/staging/terraform.tfstate"
    use_lockfile = true
    encrypt      = true
  }
}
