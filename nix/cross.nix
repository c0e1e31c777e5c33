# The command-line program as one file that runs on other machines: static and for Windows from one Linux
# machine, for macOS from a Mac of the same kind. Each comes with a check that it is what it is said to be: a
# program that fails it isn't built. These are what a release has.
{
  pkgs,
  lib,
  speakrFor,
}:
let
  inherit (pkgs.stdenv) hostPlatform;

  # The package sets of the other machines.
  x86-64 = pkgs.pkgsStatic;
  arm = pkgs.pkgsCross.aarch64-multiplatform-musl.pkgsStatic;
  windows = pkgs.pkgsCross.mingwW64;

  unwrapped = pkgs: (speakrFor pkgs).speakr-unwrapped;

  # Its own build fails where `commands` say no of `program`, or where it tells where it was built.
  checked =
    program: commands: package:
    package.overrideAttrs (old: {
      # After what the build itself changes of it. It is no install check: those are left out where the machine
      # that builds can't run the program.
      postFixup = ''
        ${old.postFixup or ""}
        ${commands}
        sh ${./check-paths.sh} --alone $out/bin/${program} "$NIX_BUILD_TOP/source"
      '';
    });

  # Its licences beside it, for who packs it: `.#speakr-….notices`.
  withNotices =
    pkgs: package:
    package.overrideAttrs (old: {
      passthru = (old.passthru or { }) // {
        notices = import ./notices.nix { inherit pkgs; };
      };
    });

  # No interpreter, no library: it runs on any Linux of its processor.
  static = program: checked program "sh ${./check-static.sh} $out/bin/${program}";

  # One file: nothing but what each Windows has.
  standalone = checked "speakr.exe" "sh ${./check-windows.sh} $out/bin/speakr.exe";

  # Nothing but what macOS has.
  relinked = checked "speakr" ''
    sh ${./relink-darwin.sh} $out/bin/speakr
    # Apple silicon kills a changed program with an old signature; nixpkgs signs none for Intel.
    . ${pkgs.darwin.signingUtils}
    sign $out/bin/speakr
  '';

  # It starts, too: on the machine that builds it.
  started =
    package:
    package.overrideAttrs (_: {
      doInstallCheck = true;
      installCheckPhase = "$out/bin/speakr --version";
    });
in
lib.optionalAttrs hostPlatform.isDarwin {
  "speakr-${hostPlatform.system}" = withNotices pkgs (started (relinked (unwrapped pkgs)));
}
// lib.optionalAttrs (hostPlatform.isLinux && hostPlatform.isx86_64) {
  speakr-x86_64-linux-musl = withNotices x86-64 (static "speakr" (unwrapped x86-64));
  speakr-x86_64-linux-musl-baseline = withNotices x86-64 (
    static "speakr" (speakrFor x86-64).speakr-baseline
  );
  speakr-aarch64-linux-musl = withNotices arm (static "speakr" (unwrapped arm));
  # For jobs that deploy, on machines without Nix.
  speakr-validate-static = static "speakr-validate" (speakrFor x86-64).packages.speakr-validate;
  speakr-x86_64-windows = withNotices windows (standalone (unwrapped windows));
}
