"""GitLab's API on loopback, for the paths that Portcullis asks: https://docs.gitlab.com/api/rest/

    gitlab.py TOKEN JOB_TOKEN [CERTIFICATE KEY]

Prints its port. A field or a path that GitLab's documentation does not name is kept in `violations` of GET /_fake/state.
As at GitLab, the job token may upload packages and nothing else.
"""

import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN, JOB_TOKEN = sys.argv[1:3]
STATE = {"notes": [], "statuses": [], "packages": {}, "requests": [], "violations": [], "rules": []}
NAME = r"[A-Za-z0-9._+-]+"
USER = {"id": 42, "username": "project_5_bot", "name": "Portcullis", "state": "active", "web_url": "https://gitlab.example/b"}
# Of each path, what a request may hold.
PATHS = [
    ("GET", r"/user", set(), "user"),
    ("GET", r"/projects/5/merge_requests/7/notes", {"order_by", "sort", "page", "per_page", "pagination"}, "notes"),
    ("POST", r"/projects/5/merge_requests/7/notes", {"body", "internal", "created_at"}, "new_note"),
    ("PUT", r"/projects/5/merge_requests/7/notes/(\d+)", {"body"}, "edit_note"),
    ("GET", r"/projects/5/merge_requests/7/notes/(\d+)", set(), "one_note"),
    (
        "POST",
        r"/projects/5/statuses/([0-9a-f]{40})",
        {"state", "ref", "name", "context", "target_url", "description", "coverage", "pipeline_id"},
        "status",
    ),
    ("PUT", rf"/projects/5/packages/generic/({NAME})/({NAME})/({NAME})", {"status", "select"}, "upload"),
    ("GET", rf"/projects/5/packages/generic/({NAME})/({NAME})/({NAME})", set(), "download"),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self):
        url = urlsplit(self.path)
        raw = self.body()
        if url.path == "/_fake/state":
            return self.answer(200, STATE)
        if url.path == "/_fake/rules":
            STATE["rules"] += json.loads(raw)
            return self.answer(200, {})
        STATE["requests"].append(f"{self.command} {self.path}")
        for rule in STATE["rules"]:
            if rule["method"] == self.command and re.search(rule["path"], self.path):
                STATE["rules"].remove(rule)
                return self.answer(rule["status"], rule.get("body", {}), rule.get("headers", {}).items())
        if not url.path.startswith("/api/v4/"):
            STATE["violations"].append(f"{self.command} {self.path}: not below /api/v4")
            return self.answer(404, {"error": "404 Not Found"})
        path = url.path.removeprefix("/api/v4")
        for method, pattern, fields, name in PATHS:
            match = re.fullmatch(pattern, unquote(path))
            if method == self.command and match:
                break
        else:
            STATE["violations"].append(f"{self.command} {self.path}: no such operation")
            return self.answer(404, {"error": "404 Not Found"})
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        is_job = self.headers.get("job-token") == JOB_TOKEN and "packages" in path
        if not is_job and TOKEN not in (self.headers.get("private-token"), bearer):
            return self.answer(401, {"message": "401 Unauthorized"})
        values = {key: texts[-1] for key, texts in parse_qs(url.query, keep_blank_values=True).items()}
        if name != "upload" and raw:
            kind = (self.headers.get("content-type") or "").split(";")[0]
            if kind == "application/json":
                values.update(json.loads(raw))
            elif kind == "application/x-www-form-urlencoded":
                values.update({key: texts[-1] for key, texts in parse_qs(raw.decode(), keep_blank_values=True).items()})
            else:
                STATE["violations"].append(f"{self.command} {self.path}: a body of type {kind}")
        STATE["violations"] += [f"{self.command} {self.path}: unknown field {key}" for key in values if key not in fields]
        getattr(self, name)(values, raw, *match.groups())

    do_GET = do_POST = do_PUT = do_DELETE = lambda self: self.serve()

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def user(self, *_):
        self.answer(200, USER)

    def notes(self, values, _):
        page, size = int(values.get("page", 1)), int(values.get("per_page", 20))
        notes = STATE["notes"][(page - 1) * size : page * size]
        headers = [("x-page", str(page)), ("x-per-page", str(size)), ("x-total", str(len(STATE["notes"])))]
        if page * size < len(STATE["notes"]):
            host = self.headers["host"]
            scheme = "https" if len(sys.argv) > 3 else "http"
            link = f"{scheme}://{host}{urlsplit(self.path).path}?page={page + 1}&per_page={size}"
            headers += [("x-next-page", str(page + 1)), ("link", f'<{link}>; rel="next"')]
        self.answer(200, notes, headers)

    def new_note(self, values, _):
        if not values.get("body"):
            return self.answer(400, {"message": {"note": ["can't be blank"]}})
        note = {"id": 300 + len(STATE["notes"]), "body": values["body"], "author": USER, "system": False, "noteable_iid": 7}
        STATE["notes"].append(note)
        self.answer(201, note)

    def edit_note(self, values, _, number):
        for note in STATE["notes"]:
            if note["id"] == int(number):
                if note["author"]["id"] != USER["id"]:
                    return self.answer(403, {"message": "403 Forbidden"})
                note["body"] = values["body"]
                return self.answer(200, note)
        self.answer(404, {"message": "404 Not found"})

    def one_note(self, _, __, number):
        found = [note for note in STATE["notes"] if note["id"] == int(number)]
        self.answer(200, found[0]) if found else self.answer(404, {"message": "404 Not found"})

    def status(self, values, _, commit):
        if values.get("state") not in ("pending", "running", "success", "failed", "canceled", "skipped"):
            return self.answer(400, {"error": "state does not have a valid value"})
        if any(len(values.get(name, "")) > 255 for name in ("description", "target_url", "ref")):
            return self.answer(400, {"message": {"description": ["is too long (maximum is 255 characters)"]}})
        last = [known for known in STATE["statuses"] if known["name"] == values.get("name", "default")]
        if last and last[-1]["status"] == values["state"] == "failed":
            return self.answer(400, {"message": "Cannot transition status via :drop from :failed"})
        status = {"id": 90 + len(STATE["statuses"]), "sha": commit, "status": values["state"], "name": values.get("name", "default")}
        STATE["statuses"].append(status | values)
        self.answer(201, status)

    def upload(self, _, raw, *names):
        STATE["packages"]["/".join(names)] = raw.decode("utf-8", "replace")
        self.answer(201, {"message": "201 Created"})

    def download(self, _, __, *names):
        found = STATE["packages"].get("/".join(names))
        self.answer(404, {"message": "404 Not found"}) if found is None else self.answer(200, found.encode())


def note(number, body, author):
    STATE["notes"].append({"id": number, "body": body, "author": dict(USER, id=author), "system": False, "noteable_iid": 7})


# More than a page, so that paging is needed; one pretends to be ours.
for number in range(130):
    note(number, f"note {number}", 1)
note(200, "<!-- portcullis:74e19dcd5ceecfb9 -->\nPASS", 13)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
