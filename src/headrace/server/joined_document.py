"""One OpenAPI document for endpoints and for a FastAPI application at `/`, whose own would stand at the same path.

The application's is the frame: its title, its version of OpenAPI and its security are what its documentation page was
made for. The endpoints join it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.server.components import PREFIX
from headrace.services.mounts import MountDefinition

PATH = "/openapi.json"


def documented(mounts: Iterable[MountDefinition]) -> Any:
    """The application that would describe itself at the path of our own document; None where there is none."""
    found = (mount.app for mount in mounts if not mount.path and getattr(mount.app, "openapi_url", None) == PATH)
    return next((app for app in found if callable(getattr(app, "openapi", None))), None)


def join(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The application's document with the endpoints in it; where both name a schema, ours gets another name."""
    schemas = theirs.get("components", {}).get("schemas", {})
    text = json.dumps(ours)
    names: dict[str, str] = {}
    for name, schema in ours["components"]["schemas"].items():
        names[name] = name
        if schemas.get(name, schema) != schema:
            names[name] = f"{name}_headrace"
            text = text.replace(f'"{PREFIX}{name}"', f'"{PREFIX}{names[name]}"')
    moved = json.loads(text)
    added = {names[name]: schema for name, schema in moved["components"]["schemas"].items()}
    components = {**theirs.get("components", {}), "schemas": {**schemas, **added}}
    return {**theirs, "paths": {**theirs.get("paths", {}), **moved["paths"]}, "components": components}
