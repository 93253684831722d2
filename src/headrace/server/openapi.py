"""`/openapi.json`: OpenAPI 3.2, where `itemSchema` describes one item of a stream (OAS 3.2.0, section 4.14).

Header and footer types stand in `x-headrace` of the operation.
"""

from __future__ import annotations

from typing import Any

from headrace.server.components import PREFIX, Components
from headrace.services.arguments import BodyParameter
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.wire.codec import Codec
from headrace.wire.dialect import Dialect
from headrace.wire.event_codec import EventCodec
from headrace.wire.events import RESERVED_NAMES
from headrace.wire.formats import FORMATS, Format
from headrace.wire.stream_types import StreamTypes

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable", "stream_id", "items_sent"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean"},
        "stream_id": {"type": "string"},
        "items_sent": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("pointer", "detail", "type")},
            },
        },
        "example": {},
        "available": {"type": "array", "items": {"type": "string"}},
    },
}

END: dict[str, Any] = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "integer"},
        "first_item_ms": {"type": ["number", "null"]},
        "duration_ms": {"type": ["number", "null"]},
    },
}

FAILURE: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message", "retryable", "stream_id", "items_sent"],
    "properties": {name: PROBLEM["properties"][name] for name in ("code", "retryable", "stream_id", "items_sent")}
    | {"message": {"type": "string"}},
}


def document(definition: ServiceDefinition) -> dict[str, Any]:
    """The description of a service."""
    components = Components({"Problem": PROBLEM, "End": END, "Failure": FAILURE})
    paths: dict[str, Any] = {}
    for endpoint in definition.endpoints:
        path = endpoint.path if endpoint.pattern is None else endpoint.pattern.template
        operations = paths.setdefault(path, {})
        for method in endpoint.methods:
            operations[method.lower()] = _operation(endpoint, method, components)
    return {
        "openapi": "3.2.0",
        "info": {"title": definition.name, "version": "1", "description": definition.description},
        "paths": paths,
        "components": {"schemas": components.schemas},
    }


def _operation(endpoint: EndpointDefinition, method: str, components: Components) -> dict[str, Any]:
    suffix = "" if len(endpoint.methods) == 1 else f"-{method.lower()}"  # no method of a class has a dash
    operation: dict[str, Any] = {
        "operationId": endpoint.attribute + suffix,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "responses": {
            "200": {
                "description": "The stream." if endpoint.streams else "The answer.",
                "content": _content(endpoint, components),
            },
            "default": _problem(endpoint),
        },
        "x-headrace": {"streams": endpoint.streams, **_types(endpoint.types, components)},
    }
    asked = _asked(endpoint, method, components)
    if parameters := [*_in_path(endpoint, components), *asked.pop("parameters", ())]:
        operation["parameters"] = parameters
    return operation | asked


def _problem(endpoint: EndpointDefinition) -> dict[str, Any]:
    if endpoint.dialect is not None:
        return {"description": "An error, as this API tells it.", "content": {"application/json": {}}}
    return {
        "description": "A problem (RFC 9457); its `code` says which.",
        "content": {"application/problem+json": {"schema": {"$ref": f"{PREFIX}Problem"}}},
    }


def _in_path(endpoint: EndpointDefinition, components: Components) -> list[dict[str, Any]]:
    if endpoint.pattern is None:
        return []
    path = endpoint.arguments.path
    schemas = {} if path is None else components.hoist(path.schema())["properties"]
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas.get(name, {"type": "string"})}
        for name in endpoint.pattern.names
    ]


def _asked(endpoint: EndpointDefinition, method: str, components: Components) -> dict[str, Any]:
    """The query or the body of a request, or both."""
    if endpoint.dialect is not None:
        return _asked_in(endpoint, endpoint.dialect, method, components)
    arguments, body = components.hoist(endpoint.arguments.schema()), endpoint.body
    asked: dict[str, Any] = {}
    if method == "GET" or body is not None:
        asked["parameters"] = [
            {"name": name, "in": "query", "required": name in arguments.get("required", ()), "schema": schema}
            for name, schema in arguments.get("properties", {}).items()
        ]
    if body is not None:
        asked["requestBody"] = {"required": True, "content": _body(body, components)}
    elif method != "GET":
        asked["requestBody"] = {
            "required": endpoint.arguments.required,
            "content": {"application/json": {"schema": arguments, "example": endpoint.example()}},
        }
    return asked


def _asked_in(endpoint: EndpointDefinition, dialect: Dialect, method: str, components: Components) -> dict[str, Any]:
    schema = components.hoist(dialect.schema)
    if method == "GET" or not schema:
        return {}
    content = {"application/json": {"schema": schema, "example": endpoint.example()}}
    return {"requestBody": {"required": bool(schema.get("required")), "content": content}}


def _body(body: BodyParameter, components: Components) -> dict[str, Any]:
    if body.items is None or body.items.kind == "bytes":
        return {"application/octet-stream": {}}
    return {"application/x-ndjson": {"itemSchema": components.hoist(body.items.schema())}}


def _types(types: StreamTypes, components: Components) -> dict[str, Any]:
    """The schemas of what a stream declares; None for a header or a footer that it does not."""
    codecs = {"item": types.item, "header": types.header, "footer": types.footer}
    return {name: None if codec is None else components.hoist(codec.schema()) for name, codec in codecs.items()}


def _content(endpoint: EndpointDefinition, components: Components) -> dict[str, Any]:
    if endpoint.dialect is not None:
        return {"*/*": {}}  # which, the dialect says request by request
    schemas = {name: schema for name, schema in _types(endpoint.types, components).items() if schema is not None}
    content: dict[str, Any] = {}
    for format_ in FORMATS:
        used = format_.streams if endpoint.streams else format_.unary
        if not used or format_.only not in (None, endpoint.types.item.kind):
            continue
        declared = (endpoint.media_type,) if endpoint.media_type and format_.only is not None else ()
        for media_type in (*declared, *format_.media_types):
            content[media_type] = _media(format_, schemas, endpoint)
    return content


def _media(format_: Format, schemas: dict[str, Any], endpoint: EndpointDefinition) -> dict[str, Any]:
    if format_.only is not None:
        return {"schema": {"type": "string"} if format_.only == "text" else {}}
    if not endpoint.streams:
        return {"schema": schemas["item"]}
    if format_.gathers:
        return {"schema": _gathered(schemas, endpoint.types.item.kind)}
    events = {**schemas, "end": {"$ref": f"{PREFIX}End"}, "error": {"$ref": f"{PREFIX}Failure"}}
    if format_.name == "sse":
        known = [_server_sent(name, schema) for name, schema in events.items() if name != "item"]
        return {"itemSchema": {"oneOf": [_server_sent_item(endpoint.types.item, schemas["item"]), *known]}}
    return {"itemSchema": {"type": "object", "properties": events, "minProperties": 1, "maxProperties": 1}}


def _gathered(schemas: dict[str, Any], kind: str) -> dict[str, Any]:
    if len(schemas) > 1:
        members = {**schemas, "items": {"type": "array", "items": schemas["item"]}}
        del members["item"]
        return {"type": "object", "required": list(members), "properties": members}
    return schemas["item"] if kind != "json" else {"type": "array", "items": schemas["item"]}


def _server_sent_item(codec: Codec, schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(codec, EventCodec):  # the user's own names, and text that need not be JSON
        data: dict[str, Any] = {"type": "string"}
        event: Any = {"type": "string", "not": {"enum": sorted(RESERVED_NAMES)}}
    else:
        data, event = _json_text(schema), False
    return {
        "type": "object",
        "required": ["id", "data"],
        "properties": {"event": event, "id": {"type": "string"}, "data": data},
    }


def _server_sent(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """One kind of server-sent event as OAS sees it (section 4.14.4.1): an object of its fields."""
    return {
        "type": "object",
        "required": ["event", "data"],
        "properties": {"event": {"const": name}, "data": _json_text(schema)},
    }


def _json_text(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
