#!/usr/bin/env python3
"""Stands before a registry, and fails when it is told to.

    registry_gate.py PORT TARGET_PORT FOLDER

While FOLDER/registry.fails is there, what is written to a path that matches its content (a regular expression) is answered with 503.
Both registries of a rehearsal are behind it, so the path says which of them it is.
"""
import http.client
import http.server
import os
import re
import sys

PORT, TARGET, FOLDER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Gate(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        body = b""
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            with open(os.path.join(FOLDER, "registry.fails"), encoding="utf-8") as told:
                broken = re.search(told.read().strip(), self.path) and self.command in ("PUT", "POST", "PATCH")
        except OSError:
            broken = False
        if broken:
            status, headers, data = 503, [("Content-Type", "text/plain")], b"planted"
        else:
            there = http.client.HTTPConnection("127.0.0.1", TARGET, timeout=300)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "content-length", "connection")}
            headers["Content-Length"] = str(len(body))
            there.request(self.command, self.path, body, headers)
            answer = there.getresponse()
            status, data = answer.status, answer.read()
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection")]
            # A HEAD tells the size of what it doesn't send.
            if self.command == "HEAD":
                headers.append(("Content-Length", answer.getheader("Content-Length") or "0"))
            there.close()
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if self.command != "HEAD" or broken:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_HEAD = do_DELETE = pass_on


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Gate).serve_forever()
