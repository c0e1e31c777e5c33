# shellcheck shell=sh
# Makes the program $1, built for macOS, one that runs on any Mac: what macOS has itself is taken from there,
# and nothing else is left in its load commands. It has to be signed again afterwards.
set -eu
program=$1
otool=${OTOOL:-otool}
change=${INSTALL_NAME_TOOL:-install_name_tool}

# What the program loads, and where it looks for it.
loads() { "$otool" -l "$program" | sed -n 's/^ *name \(.*\) (offset [0-9]*)$/\1/p'; }
looks() { "$otool" -l "$program" | sed -n 's/^ *path \(.*\) (offset [0-9]*)$/\1/p'; }

if [ -z "$(loads)" ]; then
    echo "error: $program loads nothing at all: is it a program for macOS?" >&2
    exit 1
fi
loads | grep '^/nix/store/' | while read -r library; do
    case ${library##*/} in
    libiconv*) own=/usr/lib/libiconv.2.dylib ;;
    libc++abi*) own=/usr/lib/libc++abi.dylib ;;
    libc++*) own=/usr/lib/libc++.1.dylib ;;
    libresolv*) own=/usr/lib/libresolv.9.dylib ;;
    libz.*) own=/usr/lib/libz.1.dylib ;;
    *) continue ;;
    esac
    "$change" -change "$library" "$own" "$program"
done
looks | grep '^/nix/store/' | while read -r folder; do
    "$change" -delete_rpath "$folder" "$program"
done
foreign=$(loads | grep -v '^/usr/lib/\|^/System/Library/' || :; looks | grep -F /nix/store || :)
if [ -n "$foreign" ]; then
    printf '%s\n' "$foreign" >&2
    echo "error: $program wants the above, which no other Mac has." >&2
    exit 1
fi
echo "$program wants only what macOS has: $(loads | tr '\n' ' ')"
