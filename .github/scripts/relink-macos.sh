#!/usr/bin/env bash
# Makes a program that Nix built for macOS run on any Mac: libraries of the Nix store that macOS has itself are
# taken from there, and the program is signed again, because a changed program with an old signature is killed
# when it starts.
#
#   .github/scripts/relink-macos.sh PROGRAM

# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
need otool install_name_tool codesign

program=${1:?relink-macos.sh takes a PROGRAM}
libraries() { otool -L "$program" | awk 'NR > 1 { print $1 }'; }
for library in $(libraries | grep '^/nix/store/' || true); do
    case ${library##*/} in
    libiconv*) own=/usr/lib/libiconv.2.dylib ;;
    libc++abi*) own=/usr/lib/libc++abi.dylib ;;
    libc++*) own=/usr/lib/libc++.1.dylib ;;
    libresolv*) own=/usr/lib/libresolv.9.dylib ;;
    libSystem*) own=/usr/lib/libSystem.B.dylib ;;
    libz*) own=/usr/lib/libz.1.dylib ;;
    *) die "$program wants $library, which macOS doesn't have: link it statically (nix/platform-args.nix)." ;;
    esac
    say "  ${library##*/} → $own"
    install_name_tool -change "$library" "$own" "$program"
done
codesign --force --sign - --timestamp=none "$program"
codesign --verify --strict "$program" || die "the signature of $program doesn't hold."
if libraries | grep -v '^/usr/lib/\|^/System/Library/' >&2; then die "$program wants the libraries above, which no other Mac has."; fi
"$program" --version >&2 || die "$program doesn't start after it was linked and signed anew."
