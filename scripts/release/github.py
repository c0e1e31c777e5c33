#!/usr/bin/env python3
"""A small GitHub for a rehearsal: releases as `gh` asks for them, and tokens that say who a job is.

    github.py FOLDER

Listens with TLS on a port of its own, and writes it to FOLDER/github.port, its certificate to FOLDER/github.pem. Releases are kept in
FOLDER/github.json, their files in FOLDER/assets, what was asked in FOLDER/github.log. While FOLDER/github.down is there, it fails.
"""
import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

FOLDER = sys.argv[1]
LOCK = threading.Lock()
FIELDS = {"Release": ["createdAt", "immutable", "isDraft", "isLatest", "isPrerelease", "name", "publishedAt", "tagName"]}
STATE = {"releases": {}, "assets": {}, "next": 100}


def keep():
    with open(os.path.join(FOLDER, "github.json"), "w", encoding="utf-8") as out:
        json.dump(STATE, out, indent=1)


def file_of(number):
    return os.path.join(FOLDER, "assets", str(number))


class GitHub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body, kind="application/json; charset=utf-8"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Oauth-Scopes", "repo")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def release(self, number):
        found = dict(STATE["releases"][number])
        found["assets"] = [a for a in STATE["assets"].values() if a["release"] == number]
        return found

    def handle_any(self):
        with LOCK:
            self.route(self.body())

    def route(self, body):
        parts = urllib.parse.urlsplit(self.path)
        path, query, verb = parts.path, urllib.parse.parse_qs(parts.query), self.command
        with open(os.path.join(FOLDER, "github.log"), "a", encoding="utf-8") as log:
            log.write(f"{verb} {self.path} {len(body)}\n")
        if os.path.exists(os.path.join(FOLDER, "github.down")):
            return self.answer(503, {"message": "planted"})
        if not self.headers.get("Authorization"):
            return self.answer(401, {"message": "Requires authentication"})
        if path == "/token":
            return self.answer(200, {"value": self.token(query)})
        if path == "/api/v3/":
            return self.answer(200, {})
        if path == "/api/graphql":
            return self.graphql(json.loads(body))
        base = f"https://127.0.0.1:{PORT}"
        if re.fullmatch(r"/api/v3/repos/[^/]+/[^/]+/releases", path):
            if verb == "GET":
                return self.answer(200, [self.release(n) for n in STATE["releases"]])
            asked = json.loads(body)
            STATE["next"] += 1
            number = str(STATE["next"])
            STATE["releases"][number] = {
                "id": int(number), "node_id": "R" + number, "tag_name": asked["tag_name"], "name": asked.get("name"),
                "body": asked.get("body"), "draft": asked.get("draft", False), "prerelease": asked.get("prerelease", False),
                "url": f"{base}/api/v3/repos/example/speakr/releases/{number}", "html_url": f"{base}/example/speakr/releases/{number}",
                "upload_url": f"{base}/api/uploads/repos/example/speakr/releases/{number}/assets{{?name,label}}",
                "target_commitish": "main", "author": {"login": "rehearsal"},
                "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "published_at": None}
            keep()
            return self.answer(201, self.release(number))
        if found := re.fullmatch(r"/api/v3/repos/[^/]+/[^/]+/releases/tags/(.+)", path):
            for number, release in STATE["releases"].items():
                if release["tag_name"] == urllib.parse.unquote(found[1]) and not release["draft"]:
                    return self.answer(200, self.release(number))
            return self.answer(404, {"message": "Not Found"})
        if found := re.fullmatch(r"/api/uploads/repos/[^/]+/[^/]+/releases/(\d+)/assets", path):
            STATE["next"] += 1
            number = str(STATE["next"])
            with open(file_of(number), "wb") as out:
                out.write(body)
            STATE["assets"][number] = {
                "id": int(number), "release": found[1], "name": query["name"][0], "size": len(body), "state": "uploaded",
                "digest": "sha256:" + hashlib.sha256(body).hexdigest(), "label": "", "content_type": "application/octet-stream",
                "url": f"{base}/api/v3/repos/example/speakr/releases/assets/{number}", "browser_download_url": f"{base}/files/{number}"}
            keep()
            return self.answer(201, STATE["assets"][number])
        if found := re.fullmatch(r"/api/v3/repos/[^/]+/[^/]+/releases/assets/(\d+)", path):
            if found[1] not in STATE["assets"]:
                return self.answer(404, {"message": "Not Found"})
            if verb == "DELETE":
                del STATE["assets"][found[1]]
                keep()
                return self.answer(204, b"")
            if "octet" in (self.headers.get("Accept") or ""):
                with open(file_of(found[1]), "rb") as data:
                    return self.answer(200, data.read(), "application/octet-stream")
            return self.answer(200, STATE["assets"][found[1]])
        if (found := re.fullmatch(r"/api/v3/repos/[^/]+/[^/]+/releases/(\d+)(/assets)?", path)) and found[1] in STATE["releases"]:
            if found[2]:
                return self.answer(200, self.release(found[1])["assets"])
            if verb == "PATCH":
                asked = json.loads(body)
                STATE["releases"][found[1]].update({k: v for k, v in asked.items() if k in ("tag_name", "name", "body", "draft", "prerelease", "make_latest")})
                if asked.get("draft") is False:
                    STATE["releases"][found[1]]["published_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                keep()
            return self.answer(200, self.release(found[1]))
        return self.answer(404, {"message": "Not Found"})

    def graphql(self, asked):
        text, variables = asked["query"], asked.get("variables", {})
        # What kinds of things have which fields, as GitHub names them; each by the name that was asked for.
        if kinds := re.findall(r'(?:(\w+)\s*:\s*)?__type\(name:\s*"(\w+)"\)', text):
            return self.answer(200, {"data": {alias or "__type": {"fields": [{"name": field} for field in FIELDS.get(kind, [])]}
                                              for alias, kind in kinds}})
        if "release(tagName" in text:
            for release in STATE["releases"].values():
                if release["tag_name"] == variables.get("tagName"):
                    return self.answer(200, {"data": {"repository": {"release": {"databaseId": release["id"], "isDraft": release["draft"]}}}})
            return self.answer(200, {"data": {"repository": {"release": None}}})
        if "releases(" in text:
            nodes = [{"name": r["name"], "tagName": r["tag_name"], "isDraft": r["draft"], "isPrerelease": r["prerelease"], "isLatest": False,
                      "createdAt": r["created_at"], "publishedAt": r["published_at"], "immutable": False} for r in STATE["releases"].values()]
            return self.answer(200, {"data": {"repository": {"releases": {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}}}})
        if "ref(qualifiedName" in text:
            return self.answer(200, {"data": {"repository": {"ref": {"id": "R1"}}}})
        return self.answer(200, {"data": {"__type": {"fields": []}, "repository": {
            "id": "R1", "name": "speakr", "owner": {"login": "example"}, "viewerPermission": "ADMIN", "defaultBranchRef": {"name": "main"}}}})

    def token(self, query):
        """Who the job is; not signed: AWS's stand-in reads it, and nobody else."""
        def part(what):
            return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b"=").decode()
        environment = query.get("environment", ["staging"])[0]
        return ".".join([part({"alg": "none"}), part({
            "aud": query.get("audience", [""])[0], "sub": f"repo:example/speakr:environment:{environment}", "exp": int(time.time()) + 300}), ""])

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = do_PUT = handle_any


os.makedirs(os.path.join(FOLDER, "assets"), exist_ok=True)
PEM, KEY = os.path.join(FOLDER, "github.pem"), os.path.join(FOLDER, "github.key")
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", KEY, "-out", PEM],
               check=True, capture_output=True)
SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
PORT = SERVER.server_address[1]
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
TLS.load_cert_chain(PEM, KEY)
SERVER.socket = TLS.wrap_socket(SERVER.socket, server_side=True)
keep()
with open(os.path.join(FOLDER, "github.port"), "w", encoding="utf-8") as told:
    told.write(str(PORT))
SERVER.serve_forever()
