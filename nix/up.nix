# The platform on one machine: the program that starts its parts, beside the services and with the
# servers on its path.
{
  pkgs,
  lib,
  packages,
  unwrapped,
}:
let
  servers = [
    pkgs.ffmpeg-headless
    pkgs.nats-server
    (pkgs.postgresql_17.withPackages (extensions: [ extensions.pgvector ]))
    pkgs.versitygw
  ]
  # setpriv: PostgreSQL doesn't run as root, so root starts it as somebody else.
  ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [ pkgs.util-linux ];
in
pkgs.runCommand "speakr-up-${unwrapped.version}"
  {
    nativeBuildInputs = [ pkgs.makeWrapper ];
    inherit (unwrapped) meta version;
    pname = "speakr-up";
  }
  ''
    # It looks for the services where it lies itself: a copy, for a link is followed.
    mkdir -p $out/bin $out/libexec
    cp ${lib.getExe unwrapped} $out/libexec/
    ${lib.concatMapStrings (name: "ln -s ${lib.getExe packages.${name}} $out/libexec/\n    ") [
      "speakr-transcriber"
      "speakr-embedder"
      "speakr-query-svc"
    ]}
    makeWrapper $out/libexec/speakr-up $out/bin/speakr-up --prefix PATH : ${lib.makeBinPath servers}
  ''
