output "repository_arns" {
  description = "ARN of each image's repository."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.arn }
}

output "repository_urls" {
  description = "Address of each image, to push to and pull from."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "key_arn" {
  description = "Key of the images."
  value       = module.key.arn
}
