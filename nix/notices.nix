# The licences of what a compiler links into the command-line program besides crates, as their authors wrote them: a
# folder with a text each, from the sources that nixpkgs builds. Those of Rust's own library and of GCC's come with a Rust
# toolchain (.github/scripts/licences.py). Only a release asks for this: no other build fetches these sources.
{ pkgs }:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv) hostPlatform;

  # Prints files of the archive `source`, one after the other.
  of =
    source: files:
    let
      patterns = lib.concatMapStringsSep " " (file: "'*/${file}'") files;
    in
    "tar --extract --to-stdout --file=${source} --wildcards ${patterns}";

  texts =
    if hostPlatform.isMinGW then
      {
        mingw-w64 = of pkgs.windows.pthreads.src [
          "COPYING.MinGW-w64-runtime.txt"
          "winpthreads/COPYING"
        ];
        # What its licence points to lies beside it.
        mcfgthread = "cat ${pkgs.windows.mcfgthreads.src}/LICENSE* ${pkgs.windows.mcfgthreads.src}/licenses/*";
      }
    else if hostPlatform.isMusl then
      {
        musl = of pkgs.musl.src [ "COPYRIGHT" ];
      }
    else
      # macOS brings its own libraries for C and C++.
      { };

  write = name: print: ''
    ${print} >$out/${name}.txt
    test -s $out/${name}.txt
  '';
in
pkgs.buildPackages.runCommand "speakr-notices" { } ''
  mkdir $out
  ${lib.concatStrings (lib.mapAttrsToList write texts)}
''
