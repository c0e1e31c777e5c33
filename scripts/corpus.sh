#!/usr/bin/env bash
# Makes target/bench/passages.txt and prints its path: over a hundred thousand passages of real text, out
# of the dictionary GCIDE (GPL 2 or later; read for measurements here, and part of nothing).

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

PACKAGE=dict-gcide
FILE=usr/share/dictd/gcide.dict.dz

folder=$TARGET_DIR/bench
passages=$folder/passages.txt
if [ ! -s "$passages" ]; then
    if ! has apt-get || ! has dpkg-deb; then
        die "the text of the large index comes from Debian's $PACKAGE; on other systems name another file: speakr-bench query --corpus FILE, a passage a line."
    fi
    mkdir -p "$folder"
    say "Fetching the text of the large index ($PACKAGE, 15 MB) into ${folder#"$ROOT"/} …"
    (cd "$folder" && apt-get download "$PACKAGE" >&2 && dpkg-deb -x "$PACKAGE"_*.deb dictionary)
    python3 crates/bench/peer/dictionary_passages.py "$folder/dictionary/$FILE" >"$passages.part"
    mv "$passages.part" "$passages"
    rm -rf "$folder/dictionary" "$folder/$PACKAGE"_*.deb
fi
echo "$passages"
