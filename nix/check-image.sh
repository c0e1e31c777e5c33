# shellcheck shell=sh
# Is the image in file $1 (as dockerTools makes it) what ours are? A user without rights, no date, the roots of trust, a
# folder for what is in passing, and no shell, but where $2 is "with-shell".
set -eu
work=$(mktemp -d)
mkdir "$work/image"
gzip -dc "$1" | tar -x -C "$work/image"
config=$work/image/$(jq -r '.[0].Config' "$work/image/manifest.json")
name=$(jq -r '.[0].RepoTags[0]' "$work/image/manifest.json")
jq -r '.[0].Layers[]' "$work/image/manifest.json" | while read -r layer; do tar -tf "$work/image/$layer"; done |
    sed 's#^\./#/#; s#^\([^/]\)#/\1#' | sort -u >"$work/files"

fail() {
    echo "error: the image $name $1" >&2
    exit 1
}
jq -e '.config.User == "65532:65532"' "$config" >/dev/null || fail "runs as somebody else than 65532"
jq -e '.created | startswith("1970-01-01")' "$config" >/dev/null || fail "has a date"
jq -e '.config.Labels | ["title", "description", "revision", "version", "licenses"] - (keys | map(ltrimstr("org.opencontainers.image."))) == []' \
    "$config" >/dev/null || fail "lacks labels"
jq -e '.config.StopSignal | IN("SIGTERM", "SIGINT")' "$config" >/dev/null || fail "doesn't say what ends it in order"
grep -qx '/etc/ssl/certs/ca-bundle.crt' "$work/files" || fail "has no roots of trust"
grep -qx '/tmp/' "$work/files" || fail "has no /tmp"
if [ "${2:-}" != with-shell ] && grep -E '/bin/(sh|ash|bash|dash|zsh|busybox)$' "$work/files" >&2; then
    fail "has a shell, above"
fi
echo "$name: $(wc -l <"$work/files") files, $(($(wc -c <"$1") / 1000000)) MB compressed; as it should be"
rm -rf "$work"
