# What has to hold of a commit, as far as it needs no server: `nix flake check`. The tests with real
# servers are those of `make test`, in the shell that ./shell.nix makes.
{
  pkgs,
  lib,
  workspace,
  baseline,
  images,
}:
let
  inherit (workspace)
    commonArgs
    craneLib
    sources
    packages
    lean
    ;

  # The whole workspace at once, with its default features: one build of dependencies for all checks.
  args = commonArgs // {
    src = sources.whole;
    cargoExtraArgs = "--locked --workspace";
  };

  cargoArtifacts = craneLib.buildDepsOnly (
    args
    // {
      src = sources.compiled;
    }
  );

  over = extra: args // { inherit cargoArtifacts; } // extra;

  nixFiles = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.fileFilter (file: file.hasExt "nix") ../.;
  };

  ofNix =
    name: tool: command:
    pkgs.runCommand name { nativeBuildInputs = [ tool ]; } ''
      cd ${nixFiles}
      ${command}
      touch $out
    '';
in
# qemu-user is a program for Linux, and x86-64 has older processors.
lib.optionalAttrs (pkgs.stdenv.hostPlatform.isLinux && pkgs.stdenv.hostPlatform.isx86_64) {
  # On a processor without AVX2 it says so and ends in order, and the build for it hears what is said.
  older-processor =
    pkgs.runCommand "older-processor"
      {
        nativeBuildInputs = [
          pkgs.qemu-user
          pkgs.ffmpeg-headless
        ];
        speech = ../assets/speech/jfk.wav;
      }
      ''
        export SPEAKR_HOME=$TMPDIR/speakr
        old="qemu-x86_64 -cpu Nehalem"
        code=0
        $old ${lib.getExe packages.speakr-unwrapped} transcribe --no-save $speech 2>said || code=$?
        cat said
        test $code -gt 0 -a $code -lt 128
        grep -q "this processor lacks AVX.*speakr-x86_64-linux-musl-baseline" said
        $old ${lib.getExe baseline} transcribe --no-save $speech | tee $out
        grep -qi "ask not what your country can do for you" $out
      '';
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
  # What is in each image, and what isn't. (The transcriber's with the small model is the other in all but that.)
  images =
    let
      # initdb wants a shell.
      shells = [ "image-postgres" ];
      files = lib.filterAttrs (
        name: _: lib.hasPrefix "image-" name && name != "image-transcriber"
      ) images;
    in
    pkgs.runCommand "images" { nativeBuildInputs = [ pkgs.jq ]; } (
      lib.concatLines (
        lib.mapAttrsToList (
          name: file:
          "sh ${./check-image.sh} ${file} ${lib.optionalString (lib.elem name shells) "with-shell"} >>$out"
        ) files
      )
    );
}
// {
  inherit (packages) speakr;

  clippy = craneLib.cargoClippy (over {
    cargoClippyExtraArgs = "--all-targets -- --deny warnings";
  });

  fmt = craneLib.cargoFmt {
    inherit (args) pname version src;
  };

  doc = craneLib.cargoDoc (over {
    cargoDocExtraArgs = "--no-deps";
    env.RUSTDOCFLAGS = "--deny warnings";
  });

  deny = craneLib.cargoDeny {
    inherit (args) pname version src;
    # Advisories change without a commit: they are looked at where there is a network.
    cargoDenyChecks = "bans licenses sources";
  };

  # Tests that need no program but their own and ffmpeg. (Those of the schema, in speakr-postgres, start a server.)
  nextest = craneLib.cargoNextest (over {
    doCheck = true;
    cargoNextestExtraArgs = "--lib --bins --exclude speakr-e2e --exclude speakr-testkit --exclude speakr-postgres --no-tests=pass";
    nativeBuildInputs = args.nativeBuildInputs ++ [ pkgs.ffmpeg-headless ];
  });

  nixfmt = ofNix "nixfmt" pkgs.nixfmt "find . -name '*.nix' -exec nixfmt --check {} +";

  deadnix = ofNix "deadnix" pkgs.deadnix "deadnix --fail .";

  # No program of an image or a release tells where it was built. (Those for other machines are looked at where they are
  # built: ./cross.nix.)
  build-paths =
    let
      programs = lib.attrValues (removeAttrs packages [ "speakr" ]) ++ lib.attrValues lean;
    in
    pkgs.runCommand "build-paths" { } ''
      for program in ${lib.concatMapStringsSep " " lib.getExe programs}; do
        sh ${./check-paths.sh} "$program" >>$out
      done
    '';

  # The program as it is built hears what is said.
  transcribe =
    pkgs.runCommand "transcribe"
      {
        nativeBuildInputs = [ packages.speakr ];
        speech = ../assets/speech/jfk.wav;
      }
      ''
        export SPEAKR_HOME=$TMPDIR/speakr
        speakr transcribe --no-save $speech | tee $out
        grep -qi "ask not what your country can do for you" $out
      '';
}
