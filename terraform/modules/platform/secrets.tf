# Which secret is for whom. Each is one value, which becomes one file in the pods that read it; the same
# table is in k8s/components/aws/secrets.yaml (for a hosted bus: k8s/components/hosted-bus/secrets.yaml), and a
# test compares them.

locals {
  # Passwords of the bus's users, and the certificate of its servers, where it stands in the cluster;
  # credentials files in their place where it is hosted.
  bus_users = ["nats-transcriber", "nats-embedder", "nats-query-svc", "nats-cli", "nats-operator"]

  # The keys stand apart from what is known while planning alone: who reads what is known always.
  # The validation suite takes the operator's password, and could use no credentials file.
  secret_readers_by_name = merge(
    {
      nats-transcriber = ["speakr-transcriber"]
      nats-embedder    = ["speakr-embedder"]
      nats-query-svc   = ["speakr-query-svc"]
      nats-cli         = ["speakr-validate"]
      nats-operator    = var.messaging == "hosted" ? ["speakr-streams-backup"] : ["speakr-streams-backup", "speakr-validate"]
      database-owner   = ["speakr-migrate"]
      database-app     = ["speakr-embedder", "speakr-query-svc", "speakr-validate"]
      api-token        = ["speakr-validate"]
    },
    var.messaging == "hosted" ? {} : {
      nats-server   = ["speakr-nats"]
      nats-tls-cert = ["speakr-nats"]
      nats-tls-key  = ["speakr-nats"]
      nats-ca       = ["speakr-nats", "speakr-transcriber", "speakr-embedder", "speakr-query-svc", "speakr-validate", "speakr-streams-backup"]
    },
  )

  secret_readers = transpose(local.secret_readers_by_name)

  descriptions = {
    nats-transcriber = "The bus: password (hosted: credentials file) of the user transcriber"
    nats-embedder    = "The bus: password (hosted: credentials file) of the user embedder"
    nats-query-svc   = "The bus: password (hosted: credentials file) of the user query_svc"
    nats-cli         = "The bus: password (hosted: credentials file) of the user cli"
    nats-operator    = "The bus: password (hosted: credentials file) of the user operator"
    nats-server      = "The bus: the servers' file with the passwords of all users (passwords.conf)"
    nats-tls-cert    = "The bus: certificate of its servers"
    nats-tls-key     = "The bus: key of that certificate"
    nats-ca          = "The bus: who vouches for that certificate"
    database-owner   = "The database: URL as the owner of the schema, for migrations"
    database-app     = "The database: URL as a role that owns nothing, for embedder and query_svc"
    api-token        = "The API: a token for the validation suite"
  }

  secrets = { for name, readers in local.secret_readers_by_name : name => { description = local.descriptions[name], readers = readers } }
}
