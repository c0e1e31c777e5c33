# The command-line program as one file that runs on other machines: static and for Windows from one Linux
# machine, for macOS from a Mac of the same kind. Each comes with a check that it is what it is said to be: a
# program that fails it isn't built.
{
  pkgs,
  lib,
  speakrFor,
}:
let
  inherit (pkgs.stdenv) hostPlatform;

  unwrapped = pkgs: (speakrFor pkgs).speakr-unwrapped;

  # Its own build fails where `script` says no of `program`.
  checked =
    script: program: package:
    package.overrideAttrs (old: {
      # After what the build itself changes of it. It is no install check: those are left out where the machine
      # that builds can't run the program.
      postFixup = ''
        ${old.postFixup or ""}
        sh ${script} $out/bin/${program}
      '';
    });

  # No interpreter, no library: it runs on any Linux of its processor.
  static = checked ./check-static.sh "speakr";

  # One file: nothing but what each Windows has.
  standalone = checked ./check-windows.sh "speakr.exe";
in
lib.optionalAttrs hostPlatform.isDarwin {
  "speakr-${hostPlatform.system}" = (unwrapped pkgs).overrideAttrs (old: {
    # After what the build itself changes of it; its signature is made anew.
    postFixup = ''
      ${old.postFixup or ""}
      sh ${./relink-darwin.sh} $out/bin/speakr
    '';
    doInstallCheck = true;
    installCheckPhase = "$out/bin/speakr --version";
  });
}
// lib.optionalAttrs (hostPlatform.isLinux && hostPlatform.isx86_64) {
  speakr-x86_64-linux-musl = static (unwrapped pkgs.pkgsStatic);
  speakr-x86_64-linux-musl-baseline = static (speakrFor pkgs.pkgsStatic).speakr-baseline;
  speakr-aarch64-linux-musl = static (
    unwrapped pkgs.pkgsCross.aarch64-multiplatform-musl.pkgsStatic
  );
  # For jobs that deploy, on machines without Nix.
  speakr-validate-static = checked ./check-static.sh "speakr-validate" (speakrFor pkgs.pkgsStatic).packages.speakr-validate;
  speakr-x86_64-windows = standalone (unwrapped pkgs.pkgsCross.mingwW64);
}
