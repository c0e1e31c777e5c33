# OCI images: of the three services, of what looks at them, and of what the platform stands on, so that every digest that
# is deployed is our own. Each holds the closure of its program and nothing else: no shell, no
# package manager, a user without rights.
{
  pkgs,
  lib,
  workspace,
  revision,
}:
let
  inherit (workspace) version lean;
  source = (lib.importTOML ../Cargo.toml).workspace.package.repository or null;
  models = import ./models.nix { inherit pkgs lib; };

  # Beside the closure: roots of trust, a name for the user, and a folder for what is in passing.
  base = [
    pkgs.cacert
    (pkgs.fakeNss.override {
      # initdb, among others, asks who it is.
      extraPasswdLines = [ "speakr:x:65532:65532:speakr:/tmp:/sbin/nologin" ];
      extraGroupLines = [ "speakr:x:65532:" ];
    })
  ];

  labels =
    {
      title,
      description,
      licences,
    }:
    {
      "org.opencontainers.image.title" = title;
      "org.opencontainers.image.description" = description;
      "org.opencontainers.image.revision" = revision;
      "org.opencontainers.image.version" = version;
      "org.opencontainers.image.licenses" = licences;
    }
    # Where the source is, once Cargo.toml says it.
    // lib.optionalAttrs (source != null) { "org.opencontainers.image.source" = source; };

  image =
    {
      name,
      description,
      licences,
      entrypoint,
      cmd ? [ ],
      environment ? { },
      ports ? [ ],
      contents ? [ ],
      folders ? [ ],
      # What asks it to end in order.
      stopSignal ? "SIGTERM",
      # Small files by their paths, as printf writes them.
      files ? { },
    }:
    pkgs.dockerTools.buildLayeredImage {
      inherit name;
      tag = version;
      # The same bits each time: the date is none.
      created = "1970-01-01T00:00:01Z";
      contents = base ++ contents;
      # What is in passing (sound that ffmpeg reads) needs a place, also where the rest is read-only.
      extraCommands = lib.concatLines (
        map (folder: "mkdir -m 1777 -p .${folder}") ([ "/tmp" ] ++ folders)
        ++ lib.mapAttrsToList (path: content: "printf '${content}' > .${path}; chmod 666 .${path}") files
      );
      # A layer for each path of the closure, so that models and libraries are pulled once.
      maxLayers = 100;
      config = {
        Entrypoint = entrypoint;
        Cmd = cmd;
        User = "65532:65532";
        WorkingDir = "/tmp";
        StopSignal = stopSignal;
        Env = lib.mapAttrsToList (name: value: "${name}=${value}") (
          { SSL_CERT_FILE = "/etc/ssl/certs/ca-bundle.crt"; } // environment
        );
        ExposedPorts = lib.genAttrs (map (port: "${toString port}/tcp") ports) (_: { });
        Labels = labels {
          title = name;
          inherit description licences;
        };
      };
    };

  service =
    {
      name,
      models ? null,
      environment ? { },
      ports ? [ ],
    }:
    image {
      inherit name;
      inherit (lean.${name}.meta) description;
      licences = "MIT OR Apache-2.0";
      entrypoint = [ (lib.getExe lean.${name}) ];
      # Health and metrics, as the services have it where nothing else is said.
      ports = [ 8081 ] ++ ports;
      environment =
        lib.optionalAttrs (models != null) { SPEAKR_MODELS_DIR = "${models}"; } // environment;
    };

  # Reads every kind of sound, and shows no picture: nothing of screens, graphics cards and video
  # encoders.
  ffmpeg = import ./ffmpeg.nix { inherit pkgs lib; };

  transcriberWith =
    speechModel:
    service {
      name = "speakr-transcriber";
      models = models.for [
        speechModel
        models.voiceActivity
      ];
      environment = {
        SPEAKR_MODEL = speechModel.id;
        PATH = "${ffmpeg}/bin";
      };
    };

  images = {
    # The model is an argument: `packages.image-transcriber.override { speechModel = …; }`.
    image-transcriber = lib.makeOverridable ({ speechModel }: transcriberWith speechModel) {
      speechModel = models.base;
    };

    image-embedder = service {
      name = "speakr-embedder";
      models = models.for [ models.embeddings ];
    };

    image-query-svc = service {
      name = "speakr-query-svc";
      models = models.for [ models.embeddings ];
      environment.PATH = "${ffmpeg}/bin";
      ports = [ 8080 ];
    };

    # Looks at the platform from inside (k8s/base/validate.yaml).
    image-validate = image {
      name = "speakr-validate";
      inherit (workspace.packages.speakr-validate.meta) description;
      licences = "MIT OR Apache-2.0";
      entrypoint = [ (lib.getExe workspace.packages.speakr-validate) ];
    };
  };

  parts = import ./part-images.nix { inherit pkgs lib image; };

  together =
    name: set:
    pkgs.linkFarm name (
      lib.mapAttrsToList (name: path: {
        name = "${lib.removePrefix "image-" name}.tar.gz";
        inherit path;
      }) set
    );
in
images
// parts
// {
  # With the model that lies in this repository: English, smaller, nothing to fetch. It has the same
  # name and tag as the other, so it isn't among `images`.
  image-transcriber-tiny = transcriberWith models.tiny;

  # All that a release is made of, and all that the manifests need beside it.
  images = together "speakr-images" images;
  part-images = together "speakr-part-images" parts;
}
