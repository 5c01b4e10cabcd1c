"""Reads the Helm chart with Helm itself, and what it renders with Kubernetes' own schemas.

    chart.py lint CHART                 what `helm lint` finds, as JSON
    chart.py render CHART < VALUES      what `helm template` renders with these values, as a list of JSON objects
    chart.py validate VERSION < OBJECTS what of them Kubernetes' schemas refuse, as a list of texts
"""

import json
import sys

import yaml

# What others need comes first, as Helm does it.
ORDER = ["ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service"]


def place(found):
    kind = found["kind"]
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def lint(chart):
    import helm_python

    return helm_python.lint(chart)


def render(chart):
    import helm_python

    values = json.load(sys.stdin)
    try:
        files = helm_python.Chart.load(chart).render(values, name="portcullis", namespace="portcullis")
    except Exception as error:  # values that the schema refuses
        sys.exit(f"{type(error).__name__}: {error}")
    notes = {name: text for name, text in files.items() if name.endswith("NOTES.txt")}
    documents = [yaml.safe_load_all(text) for name, text in sorted(files.items()) if name not in notes]
    objects = [found for many in documents for found in many if found]
    return {"notes": "".join(notes.values()), "objects": sorted(objects, key=place)}


def validate(version):
    import kubernetes_validate

    refused = []
    for found in json.load(sys.stdin):
        name = f"{found['kind']} {found['metadata']['name']}"
        try:
            kubernetes_validate.validate(found, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            refused.append(f"{name}: no schema")
        except kubernetes_validate.ValidationError as error:
            refused.append(f"{name}: {error.message}")
    return refused


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    json.dump({"lint": lint, "render": render, "validate": validate}[command](argument), sys.stdout)
