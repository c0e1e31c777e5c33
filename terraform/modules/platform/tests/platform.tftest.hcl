mock_provider "aws" {
  source          = "../../testing"
  override_during = plan
}

variables {
  environment           = "dev"
  github_repository     = "example/speakr"
  github_connection_arn = "arn:aws:codeconnections:eu-central-1:123456789012:connection/1"
  admin_role_arns       = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
  alarm_emails          = ["alarms@example.org"]
  hostnames             = { api = "speakr.example.org", bus = "bus.example.org" }
  cidr                  = "10.10.0.0/16"
  availability_zones    = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  nat_per_zone          = false
  endpoint_zones        = 1
  backup_lock           = false
  deletion_protection   = true
  monthly_budget_usd    = 900

  node_groups = {
    general     = { instance_types = ["t3.large"], disk_gb = 40, min_size = 3, max_size = 4 }
    transcriber = { instance_types = ["c7i.xlarge"], disk_gb = 40, min_size = 1, max_size = 2, tainted = true, scale_at_cpu_percent = 60 }
  }

  database = {
    instance_class    = "db.t4g.small"
    storage_gb        = 20
    max_storage_gb    = 100
    multi_az          = false
    connections_alarm = 150
  }
}

run "each_pod_may_do_what_its_code_does_and_no_more" {
  command = plan

  assert {
    condition = join(" ", keys(output.workload_policies)) == join(" ", [
      "speakr-embedder", "speakr-migrate", "speakr-nats", "speakr-otel-collector", "speakr-query-svc",
      "speakr-streams-backup", "speakr-transcriber", "speakr-validate",
    ])
    error_message = "A service account has a role that isn't written down here, or lacks one."
  }

  # What the code asks S3 for. A call that comes or goes changes what pods need.
  assert {
    condition = join(" ", distinct(sort(flatten([for file in fileset("${path.module}/../../../crates/adapters/s3/src", "**/*.rs") :
      regexall("\\.client\\s+\\.([a-z0-9_]+)\\(\\)", file("${path.module}/../../../crates/adapters/s3/src/${file}"))
      ])))) == join(" ", [
      "abort_multipart_upload", "complete_multipart_upload", "create_multipart_upload", "delete_objects", "get_object",
      "list_multipart_uploads", "list_object_versions", "list_objects_v2", "put_object", "upload_part",
    ])
    error_message = "crates/adapters/s3 asks S3 for something else than it did: allow it in workloads.tf, and change this list and the next."
  }

  # … and so, as actions: put, create, upload_part and complete are PutObject; deletions name versions.
  assert {
    condition = alltrue([for account in ["speakr-transcriber", "speakr-query-svc"] :
      toset([for action in flatten([for statement in jsondecode(output.workload_policies[account]).Statement : statement.Action]) : action if startswith(action, "s3:")]) == toset([
        "s3:AbortMultipartUpload", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListBucket",
        "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:PutObject",
      ])
    ])
    error_message = "The transcriber or query_svc may do more in S3 than its code does, or less."
  }

  # The others, whole.
  assert {
    condition = { for account in ["speakr-embedder", "speakr-otel-collector", "speakr-streams-backup"] : account =>
      join(" ", sort(distinct(flatten([for statement in jsondecode(output.workload_policies[account]).Statement : statement.Action]))))
      } == {
      speakr-embedder = join(" ", [
        "kms:Decrypt", "kms:GenerateDataKey",
        "s3:AbortMultipartUpload", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListBucket",
        "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:PutObject",
        "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
      ])
      speakr-otel-collector = "aps:RemoteWrite xray:PutSpans xray:PutSpansForIndexing xray:PutTraceSegments"
      speakr-streams-backup = join(" ", [
        "kms:Decrypt", "kms:GenerateDataKey", "s3:AbortMultipartUpload", "s3:PutObject",
        "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
      ])
    }
    error_message = "The embedder, the collector or the copies of the streams may do more than their code does, or less."
  }

  assert {
    condition = alltrue(flatten([for account, policy in output.workload_policies : [for statement in jsondecode(policy).Statement :
      alltrue([for resource in flatten([statement.Resource]) : anytrue([for allowed in [
        "arn:aws:s3:::bucket-mock",
        "arn:aws:s3:::bucket-mock/recordings/*",
        "arn:aws:s3:::bucket-mock/recordings/*/recording.json",
        "arn:aws:s3:::bucket-mock/recordings/*/transcript.json",
        "arn:aws:s3:::bucket-mock/recordings/*/audio.wav",
        "arn:aws:s3:::bucket-mock/tombstones/*",
        "arn:aws:s3:::bucket-mock/condemned/*",
        "arn:aws:s3:::bucket-mock/streams/*",
      ] : resource == allowed])]) if anytrue([for action in flatten([statement.Action]) : startswith(action, "s3:")])
    ]]))
    error_message = "A pod may ask for objects outside its prefixes."
  }

  assert {
    condition     = !anytrue([for statement in jsondecode(output.workload_policies["speakr-embedder"]).Statement : contains(flatten([statement.Action]), "s3:GetObject") && contains(flatten([statement.Resource]), "arn:aws:s3:::bucket-mock/recordings/*")])
    error_message = "The embedder may hear sound, which it doesn't need."
  }

  # It may ask how sound lies there, and without the key hears none.
  assert {
    condition = [for statement in jsondecode(output.workload_policies["speakr-validate"]).Statement : statement.Action if startswith(flatten([statement.Action])[0], "s3:")] == ["s3:GetObject"] && !anytrue([
      for statement in jsondecode(output.workload_policies["speakr-validate"]).Statement : startswith(flatten([statement.Action])[0], "kms:") && statement.Resource != module.secrets.key_arn
    ])
    error_message = "The validation suite may do more in the store than look, or read what lies there."
  }

  assert {
    condition     = alltrue([for policy in values(output.workload_policies) : !strcontains(policy, "s3:DeleteObject\"") && !strcontains(policy, "s3:PutBucket") && !strcontains(policy, "s3:*")])
    error_message = "A pod may change the bucket, or hide objects instead of deleting versions."
  }

  # Without the list right on no prefix S3 answers 403 for what isn't there, and the services take that
  # for a refusal.
  assert {
    condition     = alltrue([for account in ["speakr-transcriber", "speakr-embedder", "speakr-query-svc"] : can(jsondecode(output.workload_policies[account]).Statement[0].Condition.StringLikeIfExists["s3:prefix"])])
    error_message = "What isn't there looks like a refusal."
  }

  # By the table of secrets, and that of the README.
  assert {
    condition     = alltrue([for name, readers in local.secret_readers_by_name : strcontains(file("${path.module}/../secrets/README.md"), "| `${name}` | ${join(", ", readers)} |")])
    error_message = "The table in modules/secrets/README.md isn't the one that is made: a row is NAME | READERS | …"
  }

  assert {
    condition     = alltrue([for line in regexall("(?m)^\\| `((?:api|database|nats)-[a-z-]+)` \\|", file("${path.module}/../secrets/README.md")) : contains(keys(local.secret_readers_by_name), line[0])])
    error_message = "modules/secrets/README.md has a secret that isn't made."
  }

  assert {
    condition = alltrue([for account, policy in output.workload_policies :
      anytrue([for statement in jsondecode(policy).Statement : contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")]) == contains(keys(local.secret_readers), account)
    ])
    error_message = "A service account reads secrets without being in the table, or can't though it is."
  }

  # What the manifests mount is what the roles allow. (The manifests have no such file before they are there.)
  assert {
    condition = !fileexists("${path.module}/../../../k8s/components/aws/secrets.yaml") ? true : alltrue([
      for document in [for text in split("\n---\n", file("${path.module}/../../../k8s/components/aws/secrets.yaml")) : yamldecode(text)] :
      length(setsubtract(
        [for name in regexall("speakr/[A-Za-z]+/([a-z-]+)", document.spec.parameters.objects) : name[0]],
        lookup(local.secret_readers, document.metadata.name, []),
      )) == 0
    ])
    error_message = "k8s/components/aws/secrets.yaml mounts a secret into a pod whose role can't read it."
  }
}

run "the_parts_fit_together" {
  command = plan

  assert {
    condition = join(" ", keys(output.environment)) == join(" ", [
      "API_URL", "AWS_REGION", "CERTIFICATE_ARN", "DATABASE_CIDR_1", "DATABASE_CIDR_2", "DATABASE_CIDR_3", "ENVIRONMENT",
      "LOAD_BALANCER_CIDR_1", "LOAD_BALANCER_CIDR_2", "LOAD_BALANCER_CIDR_3", "LOAD_BALANCER_SECURITY_GROUP",
      "METRICS_WRITE_URL", "NATS_URL", "S3_BUCKET", "STREAMS_BACKUP_BUCKET",
    ])
    error_message = "The manifests get other facts than they ask for."
  }

  assert {
    condition     = output.environment["DATABASE_CIDR_1"] == "10.10.104.0/24" && output.environment["LOAD_BALANCER_CIDR_1"] == "10.10.96.0/24"
    error_message = "The network policies would let pods out to other addresses than the database's."
  }

  assert {
    condition     = output.cluster_name == "speakr-dev" && output.storage_class.tagSpecification_1 == "speakr-backup=speakr-dev"
    error_message = "The volumes' tag isn't the one that backups look for."
  }

  assert {
    condition     = output.runner_label == "codebuild-speakr-dev-runner-$${{ github.run_id }}-$${{ github.run_attempt }}"
    error_message = "Jobs that deploy would ask for another runner."
  }

  assert {
    condition     = length(output.secret_names) == 12 && alltrue([for name in output.secret_names : startswith(name, "speakr/dev/")])
    error_message = "The vault has other entries than the table."
  }
}

run "a_hosted_bus_has_no_servers_to_keep_secrets_of" {
  command = plan

  variables {
    messaging          = "hosted"
    hosted_nats_url    = "tls://bus.example.org:4222"
    operator_role_arns = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
    hosted_nats_credentials = {
      nats-transcriber = "file"
      nats-embedder    = "file"
      nats-query-svc   = "file"
      nats-cli         = "file"
      nats-operator    = "file"
    }
  }

  assert {
    condition     = output.nats_url == "tls://bus.example.org:4222" && !contains(output.secret_names, "speakr/dev/nats-server") && !contains(keys(output.workload_policies), "speakr-nats")
    error_message = "There are still secrets and a role of servers that aren't there."
  }

  assert {
    condition     = output.environment["NATS_URL"] == "tls://bus.example.org:4222"
    error_message = "The manifests are told another bus."
  }

  # What the component mounts is what the roles allow, all of it.
  assert {
    condition = alltrue([
      for document in [for text in split("\n---\n", file("${path.module}/../../../k8s/components/hosted-bus/secrets.yaml")) : yamldecode(text)] :
      toset([for name in regexall("speakr/[A-Za-z]+/([a-z-]+)", document.spec.parameters.objects) : name[0]]) == toset(local.secret_readers[document.metadata.name])
    ])
    error_message = "k8s/components/hosted-bus/secrets.yaml mounts other secrets into a pod than its role can read."
  }

  assert {
    condition = toset([
      for text in split("\n---\n", file("${path.module}/../../../k8s/components/hosted-bus/secrets.yaml")) : yamldecode(text).metadata.name
    ]) == toset([for account, names in local.secret_readers : account if anytrue([for name in names : startswith(name, "nats-")])])
    error_message = "k8s/components/hosted-bus/secrets.yaml leaves out a pod that reaches the bus."
  }
}

run "what_would_open_it_to_others_is_refused" {
  command = plan

  variables {
    github_repository  = "example/*"
    admin_role_arns    = { everybody = "arn:aws:iam::123456789012:role/*" }
    operator_role_arns = { everybody = "*" }
    cidr               = "8.8.0.0/16"
    alarm_emails       = []
  }

  expect_failures = [var.github_repository, var.admin_role_arns, var.operator_role_arns, var.cidr, var.alarm_emails]
}

run "a_bus_in_plain_text_and_one_of_strangers_are_refused" {
  command = plan

  variables {
    messaging               = "hosted"
    hosted_nats_url         = "nats://bus.example.org:4222"
    hosted_nats_credentials = { nats-somebody = "file" }
    operator_role_arns      = { infrastructure = "arn:aws:iam::123456789012:role/infrastructure" }
  }

  expect_failures = [var.hosted_nats_url, var.hosted_nats_credentials]
}
