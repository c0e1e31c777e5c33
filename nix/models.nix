# Model files as folders that SPEAKR_MODELS_DIR names, laid out as the registry has them
# (crates/adapters/models/src/registry.toml).
{ pkgs, lib }:
let
  registry = (lib.importTOML ../crates/adapters/models/src/registry.toml).model;

  entry = id: lib.findFirst (model: model.id == id) (throw "no model ${id} in the registry") registry;

  # A model whose files lie in this repository.
  ours = id: {
    inherit id;
    files = map (file: {
      path = pathOf (entry id) file;
      source = ../assets/models + "/${pathOf (entry id) file}";
    }) (entry id).file;
  };

  # A model that its publisher's server gives: the digest is the registry's, which says where it
  # was published.
  published = id: {
    inherit id;
    files = map (file: {
      path = pathOf (entry id) file;
      source = pkgs.fetchurl {
        url = "https://huggingface.co/${file.repo}/resolve/${file.revision}/${file.path}";
        inherit (file) sha256;
      };
    }) (entry id).file;
  };

  pathOf = model: file: lib.optionalString (model ? folder) "${model.folder}/" + file.name;
in
{
  inherit published ours;

  voiceActivity = ours "silero-vad-v6.2.0";
  tiny = ours "tiny.en-q8_0-speakr";
  embeddings = ours "all-minilm-l6-v2-int8-speakr";
  base = published "base-q5_1";

  # A folder with the files of all `models`, each in a store path of its own, so that each is a
  # layer of its own in an image.
  for =
    models:
    pkgs.linkFarm "speakr-models" (
      lib.concatMap (
        model:
        map (file: {
          name = file.path;
          path = file.source;
        }) model.files
      ) models
    );
}
