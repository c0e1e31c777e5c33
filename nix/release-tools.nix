# The programs that a release is made with, of the versions that this flake pins.
{ pkgs }:
pkgs.buildEnv {
  name = "speakr-release-tools";
  paths = [
    pkgs.awscli2
    pkgs.binutils-unwrapped
    pkgs.cargo-audit
    pkgs.cosign
    pkgs.crane
    pkgs.curl
    pkgs.gh
    pkgs.grype
    pkgs.jq
    pkgs.kubectl
    pkgs.python3
    pkgs.syft
  ];
}
