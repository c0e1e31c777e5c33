# Programs to run from the flake, besides the packages: `nix run .#up`.
{
  pkgs,
  lib,
  workspace,
}:
let
  inherit (workspace) packages up;

  start = pkgs.writeShellApplication {
    name = "speakr-up";
    runtimeInputs = [
      pkgs.ffmpeg-headless
      pkgs.nats-server
      (pkgs.postgresql_17.withPackages (extensions: [ extensions.pgvector ]))
      pkgs.versitygw
      packages.speakr-transcriber
      packages.speakr-embedder
      packages.speakr-query-svc
    ];
    text = ''
      export SPEAKR_BUS_CONFIG=${../deploy/nats}/nats-server.conf
      exec ${lib.getExe up} "$@"
    '';
  };
in
{
  up = {
    type = "app";
    program = lib.getExe start;
    meta.description = "The whole platform on this machine, until Ctrl-C";
  };
}
