"""GitHub's API on loopback, as strict as GitHub's own description of it.

    github.py OPENAPI.json TOKEN

Prints its port. Paths, parameters and bodies are held against the OpenAPI description, and so is each answer before it is
sent. What breaks a rule is answered as GitHub would, and kept in `violations` of GET /_fake/state. POST /_fake/rules takes
answers to give instead, once each: [{"method", "path" (a regular expression), "status", "headers", "body"}].
"""

import base64
import gzip
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker


def modern(node):
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(node, list):
        return [modern(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: modern(value) for key, value in node.items() if key not in ("nullable", "example", "discriminator")}
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


SPEC = modern(json.load(open(sys.argv[1])))
TOKEN = sys.argv[2]
# Not in the extract of the description: https://docs.github.com/en/rest/issues/comments#update-an-issue-comment
# Its body is that of a new comment.
COMMENTS = SPEC["paths"]["/repos/{owner}/{repo}/issues/{issue_number}/comments"]
SPEC["paths"]["/repos/{owner}/{repo}/issues/comments/{comment_id}"] = {
    "patch": {
        "requestBody": COMMENTS["post"]["requestBody"],
        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/issue-comment"}}}}},
        "parameters": [],
    }
}
STATE = {"comments": [], "checks": [], "statuses": [], "sarifs": [], "requests": [], "violations": [], "rules": []}


def problems(schema, value):
    whole = {"components": SPEC["components"], "allOf": [schema]}
    return [error.message[:300] for error in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)]


def followed(node):
    while "$ref" in node:
        target = SPEC
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def operation(method, path):
    for template, operations in SPEC["paths"].items():
        names = re.findall(r"\{(\w+)\}", template)
        match = re.fullmatch(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(template)), path)
        # `issues/comments/1` is no issue called comments.
        if match and method in operations and not ("comments" in match.groups()):
            return template, operations[method], dict(zip(names, map(unquote, match.groups())))
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def wrong(self, text):
        STATE["violations"].append(f"{self.command} {self.path}: {text}")

    def serve(self):
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        if url.path == "/_fake/state":
            return self.answer(200, STATE)
        if url.path == "/_fake/rules":
            STATE["rules"] += json.loads(raw)
            return self.answer(200, {})
        STATE["requests"].append(f"{self.command} {self.path}")
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"message": "Bad credentials", "status": "401"})
        for name, value in (("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")):
            if self.headers.get(name) != value:
                self.wrong(f"{name} is {self.headers.get(name)}")
        if not (self.headers.get("user-agent") or "").startswith("portcullis/"):
            self.wrong("no user agent")
        for rule in STATE["rules"]:
            if rule["method"] == self.command and re.search(rule["path"], self.path):
                STATE["rules"].remove(rule)
                return self.answer(rule["status"], rule.get("body", {}), rule.get("headers", {}).items())
        path = url.path.removeprefix("/api/v3")
        found = operation(self.command.lower(), path)
        if found is None:
            self.wrong("no such operation")
            return self.answer(404, {"message": "Not Found", "status": "404"})
        template, described, values = found
        query = {name: texts[-1] for name, texts in parse_qs(url.query).items()}
        known = {}
        for parameter in map(followed, described.get("parameters", [])):
            known[(parameter["in"], parameter["name"])] = parameter
        for place, given in (("path", values), ("query", query)):
            for name, text in given.items():
                parameter = known.get((place, name))
                if parameter is None:
                    if place == "query":
                        self.wrong(f"unknown parameter {name}")
                    continue
                value = int(text) if followed(parameter["schema"]).get("type") == "integer" else text
                for problem in problems(parameter["schema"], value):
                    self.wrong(f"{name}: {problem}")
        body = None
        if "requestBody" in described:
            if (self.headers.get("content-type") or "").split(";")[0] != "application/json":
                self.wrong(f"content-type is {self.headers.get('content-type')}")
            schema = followed(described["requestBody"]["content"]["application/json"]["schema"])
            try:
                body = json.loads(raw)
            except ValueError:
                self.wrong("no JSON")
                return self.answer(400, {"message": "Problems parsing JSON", "status": "400"})
            wrong = problems(schema, body)
            # GitHub ignores what it does not know; a client that sends it means something else.
            wrong += [f"unknown field {name}" for name in body if name not in schema.get("properties", {name: 1})]
            if wrong:
                STATE["violations"] += [f"{self.command} {self.path}: {text}" for text in wrong]
                return self.answer(422, {"message": "Validation Failed", "errors": wrong, "status": "422"})
        elif raw:
            self.wrong("a body where none is")
        status, answer, headers = self.act(self.command.lower(), template, values, query, body)
        response = followed(described["responses"][str(status)])
        for content in response.get("content", {}).values():
            for problem in problems(content["schema"], answer):
                STATE["violations"].append(f"the fake itself, {template}: {problem}")
        self.answer(status, answer, headers)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = lambda self: self.serve()

    @staticmethod
    def example(name):
        return json.loads(json.dumps(SPEC["components"]["examples"][name]["value"]))

    def act(self, method, template, values, query, body):
        if template.endswith("/code-scanning/sarifs"):
            log = json.loads(gzip.decompress(base64.b64decode(body["sarif"], validate=True)))
            STATE["sarifs"].append({"commit_sha": body["commit_sha"], "ref": body["ref"], "log": log, "asked": 0})
            identity = f"47177e22-5596-11eb-80a1-{len(STATE['sarifs']):012}"
            return 202, {"id": identity, "url": f"https://api.github.com/x/{identity}"}, ()
        if template.endswith("/sarifs/{sarif_id}"):
            sarif = STATE["sarifs"][int(values["sarif_id"][-12:]) - 1]
            sarif["asked"] += 1
            if sarif["asked"] == 1:
                return 404, None, ()
            pending = sarif["asked"] == 2
            return 200, {"processing_status": "pending" if pending else "complete"}, ()
        if template.endswith("/issues/{issue_number}/comments"):
            if method == "get":
                page, size = int(query.get("page", 1)), int(query.get("per_page", 30))
                return 200, STATE["comments"][(page - 1) * size : page * size], ()
            comment = self.example("issue-comment")
            comment["user"] = dict(comment["user"], login="github-actions[bot]", type="Bot")
            comment.update(id=len(STATE["comments"]) + 1, body=body["body"], author_association="NONE")
            STATE["comments"].append(comment)
            return 201, comment, [("location", comment["url"])]
        if template.endswith("/issues/comments/{comment_id}"):
            comment = next(known for known in STATE["comments"] if known["id"] == int(values["comment_id"]))
            comment["body"] = body["body"]
            return 200, comment, ()
        if template.endswith("/commits/{ref}/check-runs"):
            runs = [run for run in STATE["checks"] if run["name"] == query.get("check_name", run["name"])]
            return 200, {"total_count": len(runs), "check_runs": runs}, ()
        if template.endswith("/check-runs"):
            run = self.example("check-run-example-of-completed-conclusion")
            run.update(id=len(STATE["checks"]) + 1)
            self.checked(run, body)
            STATE["checks"].append(run)
            return 201, run, ()
        if template.endswith("/check-runs/{check_run_id}"):
            run = next(known for known in STATE["checks"] if known["id"] == int(values["check_run_id"]))
            self.checked(run, body)
            return 200, run, ()
        if template.endswith("/statuses/{sha}"):
            status = self.example("status")
            status.update({name: body[name] for name in ("state", "description", "target_url", "context") if name in body})
            STATE["statuses"].append(dict(status, sha=values["sha"]))
            return 201, status, ()
        raise NotImplementedError(template)

    @staticmethod
    def checked(run, body):
        for name in ("name", "head_sha", "details_url", "external_id", "status", "conclusion", "completed_at"):
            if name in body:
                run[name] = body[name]
        run["output"].update(title=body["output"]["title"], summary=body["output"]["summary"])


def stranger(text):
    """A comment of somebody who is neither a bot nor a member."""
    comment = Handler.example("issue-comment")
    comment.update(id=1, body=text, author_association="NONE")
    comment["user"]["type"] = "User"
    return comment


for text in sys.argv[3:]:
    STATE["comments"].append(dict(stranger(text), id=len(STATE["comments"]) + 1))
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
