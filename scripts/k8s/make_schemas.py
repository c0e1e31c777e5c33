#!/usr/bin/env python3
"""Makes kubeconform's schemas of what an API server says of its kinds (OpenAPI 2).

    kubectl get --raw /openapi/v2 | make_schemas.py OUT_DIR

A schema a kind, as kind-group-version.json: deployment-apps-v1.json. Fields that a kind doesn't have are refused, as the
server does it in a strict apply.
"""
import json
import os
import sys

# What the server takes in more than one form, and OpenAPI calls a string.
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# Notes, and words about a value that aren't JSON Schema's.
LEFT_OUT = ("description", "default", "format")


def strict(part):
    """The same part, as JSON Schema has it, without fields that it doesn't name."""
    if isinstance(part, list):
        return [strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("format") == "int-or-string":
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    result = {}
    for key, value in part.items():
        if key.startswith("x-") or key in LEFT_OUT:
            continue
        if key == "$ref":
            result[key] = value.replace("#/definitions/", "_definitions.json#/definitions/")
        elif key == "properties":
            # Their names are fields, which may be called "format".
            result[key] = {name: strict(one) for name, one in value.items()}
        else:
            result[key] = strict(value)
    # What may hold anything says so itself.
    if "properties" in part and "additionalProperties" not in part and "x-kubernetes-preserve-unknown-fields" not in part:
        result["additionalProperties"] = False
    return result


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    told = json.load(sys.stdin)["definitions"]
    definitions = {name: strict(definition) for name, definition in told.items()}
    definitions[QUANTITY] = {"oneOf": [{"type": "string"}, {"type": "number"}]}

    def write(name, content):
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(content, file, separators=(",", ":"))

    written = 0
    for name, definition in told.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            # Options of a request, and what a watch sends, are in no manifest.
            if kind["kind"].endswith("Options") or kind["kind"] == "WatchEvent":
                continue
            schema = json.loads(json.dumps(definitions[name]))
            version = "/".join(part for part in (kind["group"], kind["version"]) if part)
            fields = schema.setdefault("properties", {})
            fields["apiVersion"] = {"type": "string", "enum": [version]}
            fields["kind"] = {"type": "string", "enum": [kind["kind"]]}
            schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind"})
            group = kind["group"].split(".")[0]
            write("-".join(part for part in (kind["kind"].lower(), group, kind["version"]) if part) + ".json", schema)
            written += 1
    if not written:
        sys.exit("error: there are no kinds in what the API server says.")
    write("_definitions.json", {"definitions": definitions})
    print(f"  {written} schemas", file=sys.stderr)


if __name__ == "__main__":
    main()
