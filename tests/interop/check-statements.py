"""Reads the statements of bundles with in-toto's own library, strictly: check-statements.py BUNDLE…

Its predicates are not asked: that of verification summaries holds one level where the specification has a list.
"""

import base64
import json
import sys

import in_toto_attestation.v1.statement_pb2 as statement_pb2
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        envelope = json.load(file)["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    parsed = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    print(parsed.predicate_type)
