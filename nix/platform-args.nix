# What a build needs on one platform only.
{
  pkgs,
  lib,
  craneLib,
  src,
}:
let
  inherit (pkgs.stdenv) hostPlatform;

  # The static archives of C++'s run-time library and of its threads, and nothing else: a folder that stands first on the
  # linker's path, so that -lstdc++ finds no import library and the .exe wants no DLL beside it.
  staticCxx = pkgs.runCommandCC "static-cxx" { } ''
    mkdir $out
    for archive in libstdc++.a libwinpthread.a libpthread.a; do
      path=$($CXX -print-file-name=$archive)
      if [ -e "$path" ]; then ln -s "$(readlink -f "$path")" $out/$archive; fi
    done
    # The compiler of nixpkgs has threads of their own, in a package of their own.
    if $CXX -v 2>&1 | grep "^Thread model: mcf" >/dev/null; then
      for folder in ${lib.getLib mcfgthreads} ${lib.getDev mcfgthreads} ${lib.getBin mcfgthreads}; do
        if [ -e $folder/lib/libmcfgthread.a ]; then ln -sf $folder/lib/libmcfgthread.a $out/; fi
      done
      [ -e $out/libmcfgthread.a ] || { echo "no libmcfgthread.a in ${mcfgthreads}" >&2; exit 1; }
    fi
  '';
  inherit (pkgs.windows) mcfgthreads;
in
lib.optionalAttrs hostPlatform.isMinGW {
  # crane sets this itself otherwise, for the threads alone. rustc keeps the compiler from adding its own libraries at the
  # end; those of C++'s threads are among them.
  CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS = "-C default-linker-libraries=yes -L native=${staticCxx} -L native=${pkgs.windows.pthreads}/lib";

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
