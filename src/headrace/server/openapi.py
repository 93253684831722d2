"""`/openapi.json`: OpenAPI 3.2, where `itemSchema` describes one item of a stream (OAS 3.2.0, section 4.14).

Header and footer types stand in `x-headrace` of the operation; so do the names of the formats.
"""

from __future__ import annotations

from typing import Any

from headrace.services.arguments import BodyParameter
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.wire.formats import FORMATS, Format

PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable", "stream_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean"},
        "stream_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("pointer", "detail", "type")},
            },
        },
        "example": {},
    },
}


def document(definition: ServiceDefinition) -> dict[str, Any]:
    """The description of a service."""
    schemas: dict[str, Any] = {"Problem": PROBLEM_SCHEMA}
    paths: dict[str, Any] = {}
    for endpoint in definition.endpoints:
        operations = paths.setdefault(endpoint.path, {})
        for method in endpoint.methods:
            operations[method.lower()] = _operation(endpoint, method, schemas)
    return {
        "openapi": "3.2.0",
        "info": {"title": definition.name, "version": "1", "description": definition.description},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: EndpointDefinition, method: str, schemas: dict[str, Any]) -> dict[str, Any]:
    arguments = _hoist(endpoint.arguments.schema(), schemas)
    in_query = method == "GET" or endpoint.arguments.body is not None
    suffix = "" if len(endpoint.methods) == 1 else f"_{method.lower()}"
    operation: dict[str, Any] = {
        "operationId": endpoint.attribute + suffix,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "responses": {
            "200": {
                "description": "The stream." if endpoint.streams else "The answer.",
                "content": _content(endpoint, schemas),
            },
            "default": {
                "description": "A problem (RFC 9457); its `code` says which.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
        "x-headrace": _extension(endpoint, schemas),
    }
    if in_query:
        operation["parameters"] = [
            {"name": name, "in": "query", "required": name in arguments.get("required", ()), "schema": schema}
            for name, schema in arguments.get("properties", {}).items()
        ]
    if endpoint.arguments.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(endpoint.arguments.body, schemas)}
    elif not in_query:
        operation["requestBody"] = {
            "required": endpoint.arguments.required,
            "content": {"application/json": {"schema": arguments, "example": endpoint.arguments.example()}},
        }
    return operation


def _body(body: BodyParameter, schemas: dict[str, Any]) -> dict[str, Any]:
    if body.items is None or body.items.kind == "bytes":
        return {"application/octet-stream": {}}
    return {"application/x-ndjson": {"itemSchema": _hoist(body.items.schema(), schemas)}}


def _content(endpoint: EndpointDefinition, schemas: dict[str, Any]) -> dict[str, Any]:
    item = _hoist(endpoint.types.item.schema(), schemas)
    content: dict[str, Any] = {}
    for format_ in FORMATS:
        if (format_.streams if endpoint.streams else format_.unary) and format_.only in (
            None,
            endpoint.types.item.kind,
        ):
            declared = endpoint.media_type if format_.only is not None else None
            for media_type in (declared,) if declared else format_.media_types:
                content[media_type] = _media(format_, item, endpoint)
    return content


def _media(format_: Format, item: dict[str, Any], endpoint: EndpointDefinition) -> dict[str, Any]:
    if format_.only is not None:
        return {"schema": {"type": "string"} if format_.only == "text" else {}}
    if not endpoint.streams:
        return {"schema": item}
    if format_.gathers:
        return {
            "schema": {"type": "string"} if endpoint.types.item.kind != "json" else {"type": "array", "items": item}
        }
    if format_.name == "sse":
        return {"itemSchema": {"type": "object", "properties": {"data": {"type": "string", "contentSchema": item}}}}
    return {"itemSchema": {"type": "object", "properties": {"item": item}}}


def _extension(endpoint: EndpointDefinition, schemas: dict[str, Any]) -> dict[str, Any]:
    types = endpoint.types
    return {
        "streams": endpoint.streams,
        "item": _hoist(types.item.schema(), schemas),
        "header": None if types.header is None else _hoist(types.header.schema(), schemas),
        "footer": None if types.footer is None else _hoist(types.footer.schema(), schemas),
    }


def _hoist(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Moves a schema's own definitions to the document's components, where `$ref` finds them."""
    for name, definition in schema.get("$defs", {}).items():
        schemas.setdefault(name, _moved(definition))
    moved = _moved({key: value for key, value in schema.items() if key != "$defs"})
    assert isinstance(moved, dict)
    return moved


def _moved(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: each.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref" and isinstance(each, str)
            else _moved(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_moved(each) for each in value]
    return value
