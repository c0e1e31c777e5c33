# The Rust workspace for one package set, native or cross: the programs, each with dependencies
# built for it alone, so that no feature leaks from one into another.
{
  pkgs,
  lib,
  crane,
}:
let
  craneLib = crane.mkLib pkgs;
  sources = import ./sources.nix { inherit lib craneLib; };
  version = (lib.importTOML ../Cargo.toml).workspace.package.version;

  commonArgs = {
    pname = "speakr-workspace";
    inherit version;
    src = sources.compiled;
    strictDeps = true;
    # whisper.cpp is compiled by CMake, on the machine that builds.
    nativeBuildInputs = [ pkgs.pkgsBuildHost.cmake ];
    # CMake's hook must not run it on the workspace itself.
    dontUseCmakeConfigure = true;
    # C and C++ write the paths of their sources into the program (__FILE__). nixpkgs' compilers read the first variable, any
    # the others; cargo builds again what was told something else in those, so they are set only where each build has the
    # same folder.
    preConfigure = ''
      short=-ffile-prefix-map=$NIX_BUILD_TOP=.
      export NIX_CFLAGS_COMPILE="''${NIX_CFLAGS_COMPILE-} $short"
      if [ "$NIX_BUILD_TOP" = /build ]; then
        export CFLAGS="''${CFLAGS-} $short" CXXFLAGS="''${CXXFLAGS-} $short"
      fi
    '';
    # Tests run once, in `checks`.
    doCheck = false;
  }
  // import ./platform-args.nix {
    inherit pkgs lib craneLib;
    src = sources.compiled;
  };

  # One program of the workspace, from dependencies of its own.
  program =
    {
      package,
      binary ? package,
      description,
      features ? null,
      environment ? { },
      # How the speech engine is compiled, where not as .cargo/config.toml says.
      engine ? { },
    }:
    let
      args =
        commonArgs
        // engine
        // {
          pname = binary;
          cargoExtraArgs = lib.concatStringsSep " " (
            [
              "--locked"
              "--package ${package}"
              "--bin ${binary}"
            ]
            ++ lib.optionals (features != null) [
              "--no-default-features"
              "--features=${lib.concatStringsSep "," features}"
            ]
          );
        };
    in
    craneLib.buildPackage (
      args
      // environment
      // {
        # It carries the list of its crates, which scans read. Dependencies are built as without.
        nativeBuildInputs = args.nativeBuildInputs ++ [ pkgs.pkgsBuildHost.cargo-auditable ];
        cargoBuildCommand = "cargo auditable build --profile release";
        cargoArtifacts = craneLib.buildDepsOnly (
          args
          // {
            # The dependencies alone: there is no such binary without the sources. crane would check them
            # before it builds them, which only clippy has a use for.
            buildPhaseCargoCommand = "cargoWithProfile build ${
              lib.replaceStrings [ " --bin ${binary}" ] [ "" ] args.cargoExtraArgs
            }";
          }
        );
        meta = {
          inherit description;
          license = with lib.licenses; [
            mit
            asl20
          ];
          mainProgram = binary;
        };
      }
    );

  speakr-unwrapped = program {
    package = "speakr";
    description = "Speak, and have text: on your clipboard, saved, and findable by meaning";
  };
in
rec {
  inherit
    commonArgs
    craneLib
    sources
    version
    speakr-unwrapped
    ;

  packages = {
    inherit speakr-unwrapped;

    speakr = import ./speakr.nix { inherit pkgs lib speakr-unwrapped; };

    speakr-transcriber = program {
      package = "speakr-transcriber";
      description = "Makes text of speech that comes over the bus";
    };

    speakr-embedder = program {
      package = "speakr-embedder";
      description = "Makes what was said findable, by vectors of its passages";
    };

    speakr-query-svc = program {
      package = "speakr-query-svc";
      description = "The API: finds, lists, exports, deletes, and transcribes over the bus";
    };

    speakr-validate = program {
      package = "speakr-e2e";
      binary = "speakr-validate";
      description = "Shows what a deployment of the platform is worth";
    };
  };

  # Starts the whole platform on one machine: what `make up` starts.
  up = import ./up.nix {
    inherit pkgs lib packages;
    unwrapped = program {
      package = "speakr-e2e";
      binary = "speakr-up";
      description = "Starts the whole platform on this machine, until Ctrl-C";
      environment.SPEAKR_BUS_CONFIG = "${../deploy/nats}/nats-server.conf";
    };
  };

  # For x86-64 processors before AVX2: slower.
  speakr-baseline = program {
    package = "speakr";
    description = "${speakr-unwrapped.meta.description} (for processors without AVX2)";
    engine = lib.genAttrs [ "GGML_AVX" "GGML_AVX2" "GGML_FMA" "GGML_F16C" "GGML_BMI2" ] (_: "OFF");
  };

  # The services without models inside: the images have these as layers of their own.
  lean = lib.genAttrs [ "speakr-transcriber" "speakr-embedder" "speakr-query-svc" ] (
    package:
    program {
      inherit package;
      description = "${package}, with its models beside it";
      features = [ ];
    }
  );
}
