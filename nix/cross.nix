# The command-line program for other platforms, from one Linux machine. Each comes with a check that
# it is what it is said to be: a program that fails it isn't built.
{
  pkgs,
  lib,
  speakrFor,
}:
let
  unwrapped = pkgs: (speakrFor pkgs).speakr-unwrapped;

  # Its own build fails where `script` says no of `program`.
  checked =
    script: program: package:
    package.overrideAttrs (old: {
      doInstallCheck = true;
      installCheckPhase = ''
        runHook preInstallCheck
        ${old.installCheckPhase or ""}
        sh ${script} $out/bin/${program}
        runHook postInstallCheck
      '';
    });

  # No interpreter, no library: it runs on any Linux of its processor.
  static = checked ./check-static.sh "speakr";

  # One file: nothing but what each Windows has.
  standalone = checked ./check-windows.sh "speakr.exe";
in
lib.optionalAttrs (pkgs.stdenv.hostPlatform.isLinux && pkgs.stdenv.hostPlatform.isx86_64) {
  speakr-x86_64-linux-musl = static (unwrapped pkgs.pkgsStatic);
  speakr-aarch64-linux-musl = static (
    unwrapped pkgs.pkgsCross.aarch64-multiplatform-musl.pkgsStatic
  );
  # For jobs that deploy, on machines without Nix.
  speakr-validate-static = checked ./check-static.sh "speakr-validate" (speakrFor pkgs.pkgsStatic).packages.speakr-validate;
  speakr-x86_64-windows = standalone (unwrapped pkgs.pkgsCross.mingwW64);
}
