# Images of what the platform stands on, of the versions that this flake pins.
{
  pkgs,
  lib,
  image,
}:
let
  postgresql = pkgs.postgresql_17.withPackages (extensions: [ extensions.pgvector ]);

  # initdb runs its own programs through a shell: the one image that has one.
  startPostgres = pkgs.writeShellApplication {
    name = "start-postgres";
    runtimeInputs = [
      pkgs.coreutils
      postgresql
    ];
    text = lib.readFile ./start-postgres.sh;
  };
in
{
  image-nats = image {
    name = "speakr-nats";
    description = "NATS server with JetStream";
    licences = "Apache-2.0";
    entrypoint = [ (lib.getExe pkgs.nats-server) ];
    cmd = [
      "--config"
      "/etc/nats/nats-server.conf"
    ];
    ports = [
      4222
      6222
      8222
    ];
    folders = [ "/data" ];
  };

  image-postgres = image {
    name = "speakr-postgres";
    description = "PostgreSQL with pgvector";
    licences = "PostgreSQL";
    entrypoint = [ (lib.getExe startPostgres) ];
    contents = [
      pkgs.dockerTools.binSh
    ];
    # "Fast": at SIGTERM it waits until every client has gone.
    stopSignal = "SIGINT";
    environment = {
      PGDATA = "/data/postgres";
      LANG = "C.UTF-8";
      # Its own programs (psql, pg_isready), and what a shell can do little without.
      PATH = lib.makeBinPath [
        postgresql
        pkgs.coreutils
        pkgs.bash
      ];
    };
    ports = [ 5432 ];
    folders = [
      "/data"
      "/run/postgresql"
    ];
  };

  image-s3 = image {
    name = "speakr-s3";
    description = "An S3 server that keeps objects as files, for one machine";
    licences = "Apache-2.0";
    entrypoint = [ (lib.getExe pkgs.versitygw) ];
    cmd = [
      "--port"
      ":7070"
      "--region"
      "us-east-1"
      "--quiet"
      "--iam-dir"
      "/data/users"
      "posix"
      "--versioning-dir"
      "/data/versions"
      "--sidecar"
      "/data/metadata"
      "/data/objects"
    ];
    ports = [ 7070 ];
    # With one bucket, which keeps versions: the server itself notes that so.
    folders = [
      "/data"
      "/data/users"
      "/data/versions"
      "/data/objects"
      "/data/objects/speakr"
      "/data/metadata"
      "/data/metadata/speakr"
      "/data/metadata/speakr/meta"
    ];
    files."/data/metadata/speakr/meta/versioning" = "\\001";
  };

  # Brings copies of the streams to a bucket (k8s/components/aws/streams-backup.yaml).
  image-rclone = image {
    name = "speakr-rclone";
    description = "Copies files to and from object stores";
    licences = "MIT";
    # Without the mounting of folders, for which nixpkgs puts a shell's script before it.
    entrypoint = [ (lib.getExe (pkgs.rclone.override { enableCmount = false; })) ];
  };

  image-otel-collector = image {
    name = "speakr-otel-collector";
    description = "OpenTelemetry Collector";
    licences = "Apache-2.0";
    entrypoint = [ (lib.getExe pkgs.opentelemetry-collector-contrib) ];
    cmd = [
      "--config"
      "/etc/otelcol/config.yaml"
    ];
    ports = [
      4317
      4318
    ];
  };
}
