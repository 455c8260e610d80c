"""The v3 documents in the words of OpenAPI v2 (Swagger), as JSON and as protobuf. Pure.

Called by `openapi.py`. kubectl up to 1.28 reads v2 to patch and, where it is asked to, to explain;
it reads the definitions alone, so protobuf has no more. Its messages are gnostic's, the form that
kube-apiserver answers in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from reconciler.apiserver.http.protobuf import classes

Json = dict[str, Any]

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V3_PREFIX = "#/components/schemas/"
_V2_PREFIX = "#/definitions/"
_INT_OR_STRING = {"type": "string", "format": "int-or-string"}


def document(documents: Iterable[Json]) -> Json:
    """Return the v2 document that tells what the v3 documents of all groups tell."""
    definitions: Json = {}
    paths: Json = {}
    info: Json = {}
    for each in documents:
        info = each["info"]
        schemas = each["components"]["schemas"]
        definitions |= {name: _schema(schema) for name, schema in schemas.items()}
        paths |= {path: _path(operations) for path, operations in each["paths"].items()}
    return {"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions}


def _schema(schema: Json) -> Json:
    if "$ref" in schema:
        return {"$ref": _V2_PREFIX + schema["$ref"].removeprefix(_V3_PREFIX)}
    if "allOf" in schema:
        return _schema(schema["allOf"][0])
    if "oneOf" in schema:
        return _INT_OR_STRING
    told = dict(schema)
    if "properties" in told:
        told["properties"] = {key: _schema(each) for key, each in told["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if inner in told:
            told[inner] = _schema(told[inner])
    return told


def _path(operations: Json) -> Json:
    return {method: _operation(operation) for method, operation in operations.items()}


def _operation(operation: Json) -> Json:
    told = {key: each for key, each in operation.items() if key != "requestBody"}
    told["parameters"] = [_parameter(each) for each in operation["parameters"]]
    told["responses"] = {code: _response(each) for code, each in operation["responses"].items()}
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        schema = _schema(next(iter(content.values()))["schema"])
        told["parameters"].append(
            {"name": "body", "in": "body", "required": True, "schema": schema}
        )
        told["consumes"] = list(content)
    return told


def _parameter(parameter: Json) -> Json:
    return {**{k: v for k, v in parameter.items() if k != "schema"}, **parameter["schema"]}


def _response(response: Json) -> Json:
    (content,) = response["content"].values()
    return {"description": response["description"], "schema": _schema(content["schema"])}


def protobuf(swagger: Json) -> bytes:
    """Return info and definitions of a v2 document as gnostic's message."""
    message = classes.message_class("openapi.Document")(swagger="2.0")
    message.info.title, message.info.version = swagger["info"]["title"], swagger["info"]["version"]
    for name, schema in swagger["definitions"].items():
        _fill(message.definitions.additionalProperties.add(name=name).value, schema)
    encoded: bytes = message.SerializeToString()
    return encoded


def _fill(message: Any, schema: Json) -> None:
    """Write a schema into its message."""
    message.ref = schema.get("$ref", "")
    for key in ("description", "format"):
        setattr(message, key, schema.get(key, ""))
    if "type" in schema:
        message.type.value.append(schema["type"])
    message.required.extend(schema.get("required", ()))
    for key in sorted(each for each in schema if each.startswith("x-")):
        extension = message.vendorExtension.add(name=key)
        extension.value.yaml = orjson.dumps(schema[key]).decode()  # JSON is YAML
    _fill_inner(message, schema)


def _fill_inner(message: Any, schema: Json) -> None:
    """Write the schemas of what a value holds."""
    for name, each in schema.get("properties", {}).items():
        _fill(message.properties.additionalProperties.add(name=name).value, each)
    if "items" in schema:
        _fill(message.items.schema.add(), schema["items"])
    if "additionalProperties" in schema:
        _fill(message.additionalProperties.schema, schema["additionalProperties"])
