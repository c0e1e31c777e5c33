# What a build needs on one platform only.
{
  pkgs,
  lib,
  craneLib,
  src,
}:
let
  inherit (pkgs.stdenv) hostPlatform;

  # The static archives of C++'s run-time library, and nothing else: a folder that stands first on the
  # linker's path, so that -lstdc++ finds no import library and the .exe wants no DLL beside it.
  staticCxx = pkgs.runCommandCC "static-cxx" { } ''
    mkdir $out
    for archive in libstdc++.a libmcfgthread.a libwinpthread.a libpthread.a; do
      path=$($CXX -print-file-name=$archive)
      if [ -e "$path" ]; then ln -s "$(readlink -f "$path")" $out/$archive; fi
    done
  '';
in
lib.optionalAttrs hostPlatform.isMinGW {
  # crane sets this itself otherwise, for the threads alone.
  CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS = "-L native=${staticCxx} -L native=${pkgs.windows.pthreads}/lib";

  # The bindings to whisper.cpp that whisper-rs ships are those of systems whose "long" has eight bytes. Here
  # they are made anew, from the headers that the compiler of the target itself reads.
  LIBCLANG_PATH = "${lib.getLib pkgs.pkgsBuildHost.llvmPackages.libclang}/lib";
  # ggml takes the "lib" off its archives for Windows, also where they are GNU's: rustc looks for libggml.a there.
  cargoVendorDir = craneLib.vendorCargoDeps {
    inherit src;
    overrideVendorCargoPackage =
      crate: source:
      if crate.name == "whisper-rs-sys" then
        source.overrideAttrs {
          postPatch = ''
            sed -i '/set(CMAKE_STATIC_LIBRARY_PREFIX "")/d' whisper.cpp/ggml/CMakeLists.txt
          '';
        }
      else
        source;
  };
  postPatch = ''
    sed -i '/^WHISPER_DONT_GENERATE_BINDINGS/d' .cargo/config.toml
  '';
  preBuild = ''
    headers=$($CC -E -v -x c /dev/null 2>&1 >/dev/null | sed -n '/^#include </,/^End of/ s/^ / -isystem /p' | tr -d '\n')
    [ -n "$headers" ] || { echo "$CC doesn't tell where its headers are" >&2; exit 1; }
    export BINDGEN_EXTRA_CLANG_ARGS="--target=${hostPlatform.config}$headers"
  '';
}
