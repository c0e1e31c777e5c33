# shellcheck shell=sh
# Is the program $1 really static? It has no interpreter and needs no library.
set -eu
headers=$(${READELF:-readelf} --program-headers --dynamic "$1")
if printf '%s\n' "$headers" | grep -E 'INTERP|\(NEEDED\)' >&2; then
    echo "error: $1 isn't static." >&2
    exit 1
fi
echo "$1 is static."
