{
  description = "speakr: speak, and have text: on your clipboard, saved, and findable by meaning";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      crane,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];

      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # One place builds the workspace, for any package set: native or cross.
      speakrFor = pkgs: import ./nix/workspace.nix { inherit pkgs lib crane; };
    in
    {
      packages = eachSystem (
        pkgs:
        let
          workspace = speakrFor pkgs;
          images = import ./nix/images.nix {
            inherit pkgs lib workspace;
            revision = self.rev or self.dirtyRev or "unknown";
          };
          cross = import ./nix/cross.nix { inherit pkgs lib speakrFor; };
        in
        workspace.packages
        // {
          default = workspace.packages.speakr;
          release-tools = import ./nix/release-tools.nix { inherit pkgs; };
        }
        // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux images
        // cross
      );

      # `nix run .#up`: the platform of `make up`.
      apps = eachSystem (pkgs: {
        up = {
          type = "app";
          program = lib.getExe (speakrFor pkgs).up;
          meta.description = "Starts the whole platform on this machine, until Ctrl-C";
        };
      });

      checks = eachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs lib;
          workspace = speakrFor pkgs;
          images = self.packages.${pkgs.stdenv.hostPlatform.system};
          baseline = self.packages.${pkgs.stdenv.hostPlatform.system}.speakr-x86_64-linux-musl-baseline;
        }
      );

      devShells = eachSystem (pkgs: {
        default = import ./nix/shell.nix {
          inherit pkgs lib;
          workspace = speakrFor pkgs;
          # Its licence (BUSL) isn't a free one: the only such program, for those who develop.
          inherit
            (import nixpkgs {
              inherit (pkgs.stdenv.hostPlatform) system;
              config.allowUnfreePredicate = package: lib.getName package == "terraform";
            })
            terraform
            ;
        };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
