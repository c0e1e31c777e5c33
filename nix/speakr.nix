# The command-line program as one installs it: with what it records with and copies with on its
# path, its completions and its manual.
{
  pkgs,
  lib,
  speakr-unwrapped,
}:
let
  tools = [
    pkgs.ffmpeg
  ]
  ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
    pkgs.wl-clipboard
    pkgs.xclip
  ];
in
pkgs.runCommand "speakr-${speakr-unwrapped.version}"
  {
    nativeBuildInputs = [
      pkgs.installShellFiles
      pkgs.makeWrapper
    ];
    inherit (speakr-unwrapped) meta version;
    pname = "speakr";
    passthru.unwrapped = speakr-unwrapped;
  }
  ''
    mkdir -p $out/bin
    makeWrapper ${lib.getExe speakr-unwrapped} $out/bin/speakr \
      --suffix PATH : ${lib.makeBinPath tools}

    export HOME=$TMPDIR
    for shell in bash fish zsh; do
      $out/bin/speakr completions $shell > speakr.$shell
      installShellCompletion --cmd speakr --$shell speakr.$shell
    done
    $out/bin/speakr man --output-dir man
    installManPage man/*.1
  ''
