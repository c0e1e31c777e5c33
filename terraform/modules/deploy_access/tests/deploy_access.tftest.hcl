mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  github_repository = "example/speakr"
  repository_arns   = ["arn:aws:ecr:eu-central-1:123456789012:repository/speakr-transcriber"]
}

run "the_deploy_role_is_for_one_environment_of_one_repository" {
  command = plan

  variables {
    deploy = {
      environment  = "prod"
      cluster_name = "speakr-prod"
      cluster_arn  = "arn:aws:eks:eu-central-1:123456789012:cluster/speakr-prod"
      runner = {
        connection_arn            = "arn:aws:codeconnections:eu-central-1:123456789012:connection/1"
        vpc_id                    = "vpc-test"
        subnet_ids                = ["subnet-a"]
        cluster_security_group_id = "sg-nodes"
        log_key_arn               = "arn:aws:kms:eu-central-1:123456789012:key/logs"
      }
    }
  }

  # By equality, so another repository, another environment, a branch, a pull request and another
  # audience are all refused.
  assert {
    condition = jsondecode(output.trust["prod"]).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:example/speakr:environment:prod"
      }
    }
    error_message = "Jobs of another repository or environment may deploy."
  }

  assert {
    condition     = length(jsondecode(output.trust["prod"]).Statement) == 1 && jsondecode(output.trust["prod"]).Statement[0].Principal == { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
    error_message = "Others than GitHub's jobs may deploy."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.deploy[0].policy).Statement : statement.Action])) == toset([
      "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer", "eks:DescribeCluster",
    ])
    error_message = "The deploy role may do more in AWS than find its cluster and pull images."
  }

  assert {
    condition     = aws_eks_access_entry.deploy[0].kubernetes_groups == toset(["speakr:deployers"]) && aws_eks_access_entry.deploy[0].type == "STANDARD"
    error_message = "In the cluster it is somebody else than a deployer."
  }

  assert {
    condition     = output.publish_role_arn == null && length(aws_iam_role.publish) == 0
    error_message = "An environment may publish."
  }

  # ---- the runner

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.cluster_from_runner) == 1 && aws_vpc_security_group_egress_rule.runner["this"].to_port == 443
    error_message = "The runner doesn't reach the cluster, or reaches more than HTTPS."
  }

  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.runner["this"].policy).Statement : statement.Action]) : anytrue([for service in ["eks:", "ecr:", "sts:", "iam:", "s3:", "secretsmanager:"] : startswith(action, service)])])
    error_message = "The runner itself may do what only the job's own role may."
  }

  assert {
    condition = toset(flatten([for group in aws_codebuild_webhook.runner["this"].filter_group :
      [for filter in group.filter : filter.pattern if filter.type == "WORKFLOW_NAME"]
    ])) == toset(["^(release|ci)$"])
    error_message = "Any workflow gets a machine inside the network."
  }

  # A renamed workflow would wait for a machine that never comes.
  assert {
    condition = toset([
      for file in fileset("${path.module}/../../../.github/workflows", "*.yml") : yamldecode(file("${path.module}/../../../.github/workflows/${file}")).name
      if strcontains(file("${path.module}/../../../.github/workflows/${file}"), ".github/scripts/deploy.sh ")
    ]) == toset(["release", "ci"])
    error_message = "The workflows that deploy are others than those that get the runner."
  }
}

run "the_publish_role_pushes_images_and_nothing_else" {
  command = plan

  variables {
    publish = {}
  }

  assert {
    condition     = jsondecode(output.trust["release"]).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example/speakr:environment:release"
    error_message = "Jobs of another environment may publish."
  }

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.publish[0].policy).Statement : statement.Action]) : startswith(action, "ecr:") && !strcontains(action, "Delete") && !strcontains(action, "Policy")])
    error_message = "The publish role may do more than push."
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.publish[0].policy).Statement : statement.Resource if statement.Sid != "SignInToTheRegistry"])) == toset(var.repository_arns)
    error_message = "It may push to other repositories."
  }

  assert {
    condition     = length(aws_iam_role.deploy) == 0 && length(aws_codebuild_project.runner) == 0
    error_message = "It may deploy."
  }
}

run "any_repository_and_masters_of_the_cluster_are_refused" {
  command = plan

  variables {
    github_repository = "example/*"
    repository_arns   = ["arn:aws:ecr:eu-central-1:123456789012:repository/*"]
    kubernetes_group  = "system:masters"
  }

  expect_failures = [var.github_repository, var.repository_arns, var.kubernetes_group]
}

run "a_runner_for_any_workflow_is_refused" {
  command = plan

  variables {
    deploy = {
      environment  = "prod"
      cluster_name = "speakr-prod"
      cluster_arn  = "arn:aws:eks:eu-central-1:123456789012:cluster/speakr-prod"
      runner = {
        connection_arn            = "arn:aws:codeconnections:eu-central-1:123456789012:connection/1"
        vpc_id                    = "vpc-test"
        subnet_ids                = ["subnet-a"]
        cluster_security_group_id = "sg-nodes"
        log_key_arn               = "arn:aws:kms:eu-central-1:123456789012:key/logs"
        workflow_names            = [".*"]
      }
    }
  }

  expect_failures = [var.deploy]
}

run "a_role_for_any_cluster_is_refused" {
  command = plan

  variables {
    deploy = {
      environment  = "prod"
      cluster_name = "speakr-prod"
      cluster_arn  = "arn:aws:eks:eu-central-1:123456789012:cluster/*"
    }
  }

  expect_failures = [var.deploy]
}
