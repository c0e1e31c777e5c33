# What each service account may ask AWS for: what its code does (crates/adapters/s3), on the prefixes that
# it does it on. A test compares the S3 actions with the calls in the code.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # Whose images are pulled: this account's, unless the registry is in another.
  repository_arns = [
    for image in var.images :
    "arn:${local.partition}:ecr:${local.region}:${coalesce(var.registry_account_id, local.account)}:repository/${image}"
  ]

  bucket_arn = module.object_storage.bucket_arn

  # ---- statements that several have

  list_recordings = [
    {
      # "IfExists": a GET of what isn't there asks for the same right, without a prefix. Where it is
      # missing, S3 answers 403 instead of 404, and a recording that is new looks like a refusal.
      Sid       = "ListRecordings"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = local.bucket_arn
      Condition = { StringLikeIfExists = { "s3:prefix" = ["recordings/*", "tombstones/*", "condemned/*"] } }
    },
    {
      Sid       = "ListVersionsOfRecordings"
      Effect    = "Allow"
      Action    = "s3:ListBucketVersions"
      Resource  = local.bucket_arn
      Condition = { StringLike = { "s3:prefix" = ["recordings/*"] } }
    },
    {
      # S3 knows no prefix here. The answer has names of uploads and no content.
      Sid      = "ListUnfinishedUploads"
      Effect   = "Allow"
      Action   = "s3:ListBucketMultipartUploads"
      Resource = local.bucket_arn
    },
  ]

  # A deletion that comes while something is written is finished by who wrote, so all of them erase.
  erase_recordings = {
    Sid      = "EraseRecordings"
    Effect   = "Allow"
    Action   = ["s3:AbortMultipartUpload", "s3:DeleteObjectVersion"]
    Resource = "${local.bucket_arn}/recordings/*"
  }

  write_tombstones = {
    Sid      = "WriteTombstones"
    Effect   = "Allow"
    Action   = "s3:PutObject"
    Resource = "${local.bucket_arn}/tombstones/*"
  }

  # What is to go, listed until nothing of it is left.
  keep_list_of_condemned = [
    {
      Sid      = "KeepListOfCondemned"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObjectVersion"]
      Resource = "${local.bucket_arn}/condemned/*"
    },
    {
      Sid       = "ListVersionsOfCondemned"
      Effect    = "Allow"
      Action    = "s3:ListBucketVersions"
      Resource  = local.bucket_arn
      Condition = { StringLike = { "s3:prefix" = ["condemned/*"] } }
    },
  ]

  # By S3 alone, for this bucket alone.
  use_recordings_key = {
    Sid      = "KeyOfTheBucket"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = module.object_storage.key_arn
    Condition = {
      StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" }
      StringLike   = { "kms:EncryptionContext:aws:s3:arn" = [local.bucket_arn, "${local.bucket_arn}/*"] }
    }
  }

  # Secrets that a service account reads, by the table in secrets.tf.
  read_secrets = {
    for account in local.service_accounts : account => [
      {
        Sid      = "ReadItsSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = [for name, entry in local.secrets : module.secrets.arns[name] if contains(entry.readers, account)]
      },
      {
        Sid       = "KeyOfSecrets"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = module.secrets.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com" } }
      },
    ] if anytrue([for entry in values(local.secrets) : contains(entry.readers, account)])
  }

  # ---- who has which

  aws_calls = {
    speakr-transcriber = concat(local.list_recordings, [
      {
        Sid      = "ReadAndWriteRecordings"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${local.bucket_arn}/recordings/*"
      },
      local.erase_recordings,
      local.write_tombstones,
      local.use_recordings_key,
    ])

    # Texts and what describes them; sound is none of its business.
    speakr-embedder = concat(local.list_recordings, [
      {
        Sid      = "ReadTexts"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${local.bucket_arn}/recordings/*/recording.json", "${local.bucket_arn}/recordings/*/transcript.json"]
      },
      {
        Sid      = "MendDescriptions"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.bucket_arn}/recordings/*/recording.json"
      },
      local.erase_recordings,
      local.use_recordings_key,
    ])

    # Exports, tags, deletes, and takes files that are too large for a message.
    speakr-query-svc = concat(local.list_recordings, [
      {
        Sid      = "ReadAndWriteRecordings"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${local.bucket_arn}/recordings/*"
      },
      local.erase_recordings,
      local.write_tombstones,
      local.use_recordings_key,
    ], local.keep_list_of_condemned)

    speakr-otel-collector = [
      {
        Sid      = "WriteMetrics"
        Effect   = "Allow"
        Action   = "aps:RemoteWrite"
        Resource = module.monitoring.workspace_arn
      },
      {
        Sid    = "WriteTraces"
        Effect = "Allow"
        Action = ["xray:PutSpans", "xray:PutSpansForIndexing", "xray:PutTraceSegments"]
        # On "*": X-Ray takes no resource for what is written to it.
        Resource = "*"
      },
    ]

    # Looks whether the sound that it has sent is encrypted where it lies (HEAD, which asks for this right). Without the
    # key it could read none.
    speakr-validate = [
      {
        Sid      = "LookAtSound"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arn}/recordings/*/audio.wav"
      },
    ]

    # Writes copies of the streams; can't read them back, nor take one away.
    speakr-streams-backup = [
      {
        Sid      = "WriteCopiesOfStreams"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
        Resource = "${module.messaging.backup_bucket_arn}/streams/*"
      },
      {
        Sid       = "KeyOfTheCopies"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = module.messaging.backup_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
      },
    ]
  }

  service_accounts = toset(concat(keys(local.secret_readers), ["speakr-transcriber", "speakr-embedder", "speakr-query-svc", "speakr-otel-collector", "speakr-streams-backup"]))

  workloads = {
    for account in local.service_accounts : account => concat(lookup(local.aws_calls, account, []), lookup(local.read_secrets, account, []))
  }

  workload_policies = { for account, statements in local.workloads : account => jsonencode({ Version = "2012-10-17", Statement = statements }) }
}
