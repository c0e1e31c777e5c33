# Everything that `make test`, `make lint` and the documents' commands need: `nix develop`. scripts/tools.sh takes what
# is here; it fetches what nixpkgs hasn't (schemathesis, which came after 26.05).
{
  pkgs,
  lib,
  workspace,
  terraform,
}:
workspace.craneLib.devShell {
  # What whisper.cpp is built with, and how, is in .cargo/config.toml.
  packages = [
    # To build.
    pkgs.cmake
    pkgs.pkg-config

    # To test: the parts that the platform stands on, speech, sound and the clipboard.
    pkgs.cargo-nextest
    pkgs.espeak-ng
    pkgs.ffmpeg
    pkgs.nats-server
    pkgs.natscli
    (pkgs.postgresql_17.withPackages (extensions: [ extensions.pgvector ]))
    (pkgs.python3.withPackages (python: [
      python.nats-py
      python.openai
    ]))
    pkgs.versitygw

    # To look at what is written.
    pkgs.actionlint
    pkgs.cargo-deny
    pkgs.deadnix
    pkgs.nixfmt
    pkgs.shellcheck
    pkgs.typos
    pkgs.zizmor

    # To place and release it, and to ask what was placed.
    pkgs.curl
    pkgs.gh
    pkgs.jq
    pkgs.kubectl
    pkgs.openssl
    pkgs.prometheus.cli
    pkgs.skopeo
    terraform
  ]
  ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
    # What scripts/setup.sh looks for in addition on Linux: displays, microphones, a keychain and clocks.
    pkgs.alsa-utils
    pkgs.dbus
    pkgs.gnome-keyring
    pkgs.iproute2
    pkgs.libfaketime
    pkgs.pulseaudio
    pkgs.sway
    pkgs.util-linux
    pkgs.wl-clipboard
    pkgs.xclip
    pkgs.xvfb
  ];
}
