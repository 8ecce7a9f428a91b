"""Whether the OpenAPI document and the API agree on which request bodies are accepted.

Starts from the document's own examples and changes one member at a time: another type, too long, too short, out of range, another word,
missing, unknown. For each body the verdict of the document's schema is compared with the answer of the running API.
"""

import copy
import json
import os
import sys
import urllib.error
import urllib.request

import jsonschema

# Reasons for a refusal that a schema can state.
STATABLE = {"required", "unknown_field", "too_long", "too_short", "invalid_type", "out_of_range", "invalid_value", "too_many"}
# What a schema does not state, by path, pointer and code: what depends on another part of the body, on who asks (jobs of kind `reconcile` are
# for operators), or on what is stored (the settings in a patch do not name their type, and each type has its own time limit).
EXCEPTIONS = {
    ("/v1/destinations", "/settings/url", "required"),
    ("/v1/jobs", "/kind", "invalid_value"),
    ("/v1/destinations/{id}", "/settings/url", "required"),
    ("/v1/destinations/{id}", "/settings/timeout_seconds", "out_of_range"),
}
# Bodies that are tried, and where: requests that touch nothing else.
OPERATIONS = [
    ("post", "/v1/destinations", "?skip_check=true"),
    ("post", "/v1/messages", ""),
    ("post", "/v1/api-keys", ""),
    ("post", "/v1/portal-links", ""),
    ("post", "/v1/uploads", ""),
    ("post", "/v1/jobs", ""),
    ("patch", "/v1/organization", ""),
    ("post", "/v1/messages/batch", ""),
    ("patch", "/v1/destinations/{id}", "?skip_check=true"),
    ("post", "/v1/destinations/{id}/pause", ""),
    ("post", "/v1/destinations/{id}/disable", ""),
    ("post", "/v1/destinations/{id}/enable", ""),
    ("post", "/v1/destinations/{id}/rotate-secret", ""),
    ("post", "/v1/destinations/{id}/test", ""),
    ("post", "/v1/destinations/preview", ""),
    ("post", "/v1/messages/{id}/deliveries", ""),
    ("post", "/v1/deliveries/{id}/retry", ""),
    ("post", "/v1/organization/rotate-status-secret", ""),
    ("post", "/v1/oauth2/authorizations", ""),
]

document = json.load(open(sys.argv[1], encoding="utf-8"))


def validator(schema):
    root = dict(schema)
    root["components"] = document["components"]
    return jsonschema.Draft202012Validator(root)


def resolved(schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def changed(value, path, replacement):
    value = copy.deepcopy(value)
    target = value
    for name in path[:-1]:
        target = target[name]
    if replacement is ...:
        target.pop(path[-1], None)
    else:
        target[path[-1]] = replacement
    return value


def objects(schema):
    """The schema, if it has members, or those of its variants that have."""
    schema = resolved(schema)
    if "properties" in schema:
        return [schema]
    return [found for one in schema.get("oneOf", []) + schema.get("anyOf", []) for found in objects(one)]


def candidates(schema, value, path=()):
    """Bodies that differ from `value` in one member, with what differs."""
    schema = resolved(schema)
    variants = objects(schema) if isinstance(value, dict) else []
    matching = [one for one in variants if validator(one).is_valid(value)]
    schema = matching[0] if matching else schema
    for name, member in schema.get("properties", {}).items():
        at = (*path, name)
        if name in value:
            yield at, "left out", ...
        for replacement in replacements(resolved(member)):
            yield at, repr(replacement)[:40], replacement
        if isinstance(value.get(name), dict):
            yield from candidates(member, value[name], at)
    if schema.get("additionalProperties") is False:
        yield (*path, "no_such_member"), "added", 1


def replacements(member):
    types = member.get("type", [])
    types = [types] if isinstance(types, str) else types
    if "string" in types and "const" not in member:
        yield 17
        if "maxLength" in member and member.get("format") is None:
            yield "x" * (member["maxLength"] + 1)
        if "pattern" in member and "\\u0000" in member["pattern"]:
            yield "a\u0007b"
        if member.get("minLength") == 1:
            yield ""
        if "enum" in member:
            yield "no-such-word"
    if "null" in types:
        yield None
    if "integer" in types:
        yield "17"
        if "minimum" in member:
            yield member["minimum"] - 1
            yield member["minimum"]
        if "maximum" in member:
            yield member["maximum"] + 1
            yield member["maximum"]
    if "boolean" in types:
        yield "true"
        yield False
    if "object" in types and "properties" in member:
        yield []
    if "array" in types:
        yield {}


def ask(method, path, body):
    request = urllib.request.Request(
        os.environ["WAYBILL_URL"] + path,
        json.dumps(body).encode(),
        {"authorization": "Bearer " + os.environ["WAYBILL_KEY"], "content-type": "application/json"},
        method=method.upper(),
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def bodies(method, path):
    media = document["paths"][path][method]["requestBody"]["content"]["application/json"]
    examples = [one["value"] for one in media["examples"].values()] if "examples" in media else [media["example"]]
    for example in examples:
        yield media["schema"], example
        for at, what, replacement in candidates(media["schema"], example):
            yield media["schema"], changed(example, at, replacement)


def objects_to_change():
    """A destination, a message to it and its delivery: what the paths with an id are about."""
    settings = {"url": os.environ["RECEIVER_URL"]}
    status, destination = ask("post", "/v1/destinations?skip_check=true", {"type": "webhook", "name": "Agreement", "settings": settings})
    assert status == 201, destination
    status, message = ask("post", "/v1/messages", {"event_type": "a.b", "payload": 1, "destination_ids": [destination["id"]]})
    assert status == 202, message
    return {"destinations": destination["id"], "messages": message["id"], "deliveries": message["deliveries"][0]["id"]}


def verdict(status, answer):
    """The status of an answer and its errors: of a batch, those of its messages that were refused."""
    refused = [result for result in answer.get("results", []) if result["status"] >= 400]
    if refused:
        return refused[0]["status"], [error for result in refused for error in result["error"].get("errors", [])]
    return status, answer.get("errors", []) if status == 422 else []


ids = objects_to_change()
disagreements, agreed, limited = [], 0, 0
for method, path, query in OPERATIONS:
    address = path.replace("{id}", ids.get(path.split("/")[2], ""))
    for schema, body in bodies(method, path):
        accepts = validator(schema).is_valid(body)
        status, errors = verdict(*ask(method, address + query, body))
        limited += status == 429
        codes = {error["code"] for error in errors if (path, error["pointer"], error["code"]) not in EXCEPTIONS}
        if not accepts and status < 400:
            disagreements.append(f"the schema refuses and the API accepts: {path} {json.dumps(body)}")
        elif accepts and codes & STATABLE:
            disagreements.append(f"the schema accepts and the API refuses ({errors}): {path} {json.dumps(body)}")
        else:
            agreed += 1
print("\n".join(disagreements))
print(f"{agreed} documents agree, {len(disagreements)} do not; {limited} were over a rate limit")
sys.exit(1 if disagreements else 0)
