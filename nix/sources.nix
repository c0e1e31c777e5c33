# What each build sees of the repository: no more than it needs, so that a change of the documents
# rebuilds no program.
{ lib, craneLib }:
let
  inherit (lib) fileset;
  root = ../.;

  # What is compiled, and what is compiled in.
  compiled = fileset.unions [
    (fileset.difference (craneLib.fileset.commonCargoSources root) ../fuzz)
    (fileset.fileFilter (file: file.hasExt "sql") ../crates)
    ../deploy/postgres/roles.sql
    ../assets/models
    # speakr-validate has these inside: what it says, what it compares with, what it expects.
    ../assets/speech/jfk.wav
    ../docs/load.toml
    ../docs/openapi.json
    ../k8s/monitoring/alerts.yaml
  ];
in
{
  compiled = fileset.toSource {
    inherit root;
    fileset = compiled;
  };

  # With what tests read besides: golden files, recorded output, speech, generated documents.
  whole = fileset.toSource {
    inherit root;
    fileset = root;
  };
}
