#!/usr/bin/env python3
"""Packs a folder into a .tar.gz or .zip: the same files and the same time give the same bytes.

    pack.py FOLDER ARCHIVE SECONDS
"""
import gzip
import os
import sys
import tarfile
import time
import zipfile


def files(folder):
    for here, names, found in os.walk(folder):
        names.sort()
        for name in sorted(found):
            path = os.path.join(here, name)
            inside = os.path.join(os.path.basename(folder), os.path.relpath(path, folder))
            yield path, inside.replace(os.sep, "/"), 0o755 if os.stat(path).st_mode & 0o111 else 0o644


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, archive, seconds = sys.argv[1].rstrip("/"), sys.argv[2], int(sys.argv[3])
    part = archive + ".part"
    if archive.endswith(".zip"):
        # The format knows no time before 1980.
        when = time.gmtime(max(seconds, 315532800))[:6]
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out:
            for path, inside, mode in files(folder):
                info = zipfile.ZipInfo(inside, when)
                info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
                info.external_attr = (0o100000 | mode) << 16
                with open(path, "rb") as data:
                    out.writestr(info, data.read())
    else:
        with open(part, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed, \
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as out:
            for path, inside, mode in files(folder):
                info = tarfile.TarInfo(inside)
                info.size, info.mode, info.mtime = os.path.getsize(path), mode, seconds
                with open(path, "rb") as data:
                    out.addfile(info, data)
    os.replace(part, archive)


main()
