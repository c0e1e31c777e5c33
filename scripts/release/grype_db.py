#!/usr/bin/env python3
"""Writes a small database of holes for grype (its schema 6), so that a scan can be tried without its own of many
gigabytes: with one hole, planted in a package of one's choice.

    grype_db.py FOLDER NAME ECOSYSTEM PACKAGE BELOW SEVERITY     (ECOSYSTEM: rust-crate, for instance)

Versions of PACKAGE below BELOW have the hole NAME. Read with GRYPE_DB_CACHE_DIR=FOLDER GRYPE_DB_AUTO_UPDATE=false.
"""
import datetime
import json
import os
import sqlite3
import struct
import sys

TABLES = {
    "blobs": "id integer PRIMARY KEY AUTOINCREMENT,value text NOT NULL",
    "db_metadata": "build_timestamp datetime NOT NULL,model integer NOT NULL,revision integer NOT NULL,addition integer NOT NULL",
    "providers": "id text,version text,processor text,date_captured datetime,input_digest text,PRIMARY KEY (id)",
    "vulnerability_handles": "id integer PRIMARY KEY AUTOINCREMENT,name text NOT NULL,status text NOT NULL,published_date datetime,modified_date datetime,withdrawn_date datetime,provider_id text NOT NULL,blob_id integer",
    "vulnerability_aliases": "name text,alias text NOT NULL,PRIMARY KEY (name,alias)",
    "operating_systems": "id integer PRIMARY KEY AUTOINCREMENT,name text,release_id text,major_version text,minor_version text,label_version text,codename text,channel text,eol_date datetime,eoas_date datetime",
    "packages": "id integer PRIMARY KEY AUTOINCREMENT,ecosystem text,name text",
    "affected_package_handles": "id integer PRIMARY KEY AUTOINCREMENT,vulnerability_id integer NOT NULL,operating_system_id integer,package_id integer,blob_id integer",
    "unaffected_package_handles": "id integer PRIMARY KEY AUTOINCREMENT,vulnerability_id integer NOT NULL,operating_system_id integer,package_id integer,blob_id integer",
    "operating_system_specifier_overrides": "alias text,version text,version_pattern text,codename text,channel text,replacement text,replacement_major_version text,replacement_minor_version text,replacement_label_version text,replacement_channel text,rolling numeric,applicable_client_db_schemas text,PRIMARY KEY (alias,version,version_pattern,replacement,replacement_major_version,replacement_minor_version,replacement_label_version,replacement_channel,rolling)",
    "cpes": "id integer PRIMARY KEY AUTOINCREMENT,part text NOT NULL,vendor text,product text NOT NULL,edition text,language text,software_edition text,target_hardware text,target_software text,other text",
    "package_cpes": "cpe_id integer,package_id integer,PRIMARY KEY (cpe_id,package_id)",
    "package_specifier_overrides": "ecosystem text,replacement_ecosystem text,PRIMARY KEY (ecosystem,replacement_ecosystem)",
    "affected_cpe_handles": "id integer PRIMARY KEY AUTOINCREMENT,vulnerability_id integer NOT NULL,cpe_id integer,blob_id integer",
    "unaffected_cpe_handles": "id integer PRIMARY KEY AUTOINCREMENT,vulnerability_id integer NOT NULL,cpe_id integer,blob_id integer",
    "known_exploited_vulnerability_handles": "id integer PRIMARY KEY AUTOINCREMENT,cve text NOT NULL,blob_id integer",
    "epss_handles": "id integer PRIMARY KEY AUTOINCREMENT,cve text NOT NULL,epss real NOT NULL,percentile real NOT NULL",
    "epss_metadata": "date datetime NOT NULL",
    "cwe_handles": "id integer PRIMARY KEY AUTOINCREMENT,cve text NOT NULL,cwe text NOT NULL,source text,type text",
}


def xxh64(data):
    """The checksum that grype keeps of its database."""
    one, two, three, four, five = (11400714785074694791, 14029467366897019727, 1609587929392839161,
                                   9650029242287828579, 2870177450012600261)
    mask = 2 ** 64 - 1

    def turn(value, bits):
        return ((value << bits) | (value >> (64 - bits))) & mask

    def mix(lane, word):
        return turn((lane + word * two) & mask, 31) * one & mask

    at = 0
    if len(data) >= 32:
        lanes = [(one + two) & mask, two, 0, -one & mask]
        for at in range(0, len(data) - 31, 32):
            lanes = [mix(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at))]
        at += 32
        value = sum(turn(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & mask
        for lane in lanes:
            value = ((value ^ mix(0, lane)) * one + four) & mask
    else:
        value = five
    value = (value + len(data)) & mask
    while at + 8 <= len(data):
        value = (turn(value ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * one + four) & mask
        at += 8
    if at + 4 <= len(data):
        value = (turn(value ^ struct.unpack_from("<I", data, at)[0] * one & mask, 23) * two + three) & mask
        at += 4
    for byte in data[at:]:
        value = turn(value ^ byte * five & mask, 11) * one & mask
    value = (value ^ value >> 33) * two & mask
    value = (value ^ value >> 29) * three & mask
    return value ^ value >> 32


def main():
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    folder, name, ecosystem, package, below, severity = sys.argv[1:]
    folder = os.path.join(folder, "6")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "vulnerability.db")
    if os.path.exists(path):
        os.remove(path)
    database = sqlite3.connect(path)
    for table, columns in TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00:00")
    hole = {"id": name, "description": "planted", "severities": [{"scheme": "CHMLN", "value": severity, "rank": 1}]}
    where = {"cves": [name], "ranges": [{"version": {"type": "semver", "constraint": f"<{below}"},
                                         "fix": {"version": below, "state": "fixed"}}]}
    database.execute("INSERT INTO db_metadata VALUES (?, 6, 1, 4)", (now,))
    database.execute("INSERT INTO providers VALUES ('planted', '1', 'hand', ?, 'sha256:0')", (now,))
    database.executemany("INSERT INTO blobs VALUES (?, ?)", [(1, json.dumps(hole)), (2, json.dumps(where))])
    database.execute("INSERT INTO vulnerability_handles VALUES (1, ?, 'active', ?, ?, NULL, 'planted', 1)", (name, now, now))
    database.execute("INSERT INTO packages VALUES (1, ?, ?)", (ecosystem, package))
    database.execute("INSERT INTO affected_package_handles VALUES (1, 1, NULL, 1, 2)")
    database.commit()
    database.close()
    with open(path, "rb") as written:
        digest = xxh64(written.read())
    with open(os.path.join(folder, "import.json"), "w", encoding="utf-8") as about:
        json.dump({"digest": f"xxh64:{digest:016x}", "source": "manual import", "client_version": "v6.1.4"}, about)


main()
