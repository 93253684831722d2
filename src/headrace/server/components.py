"""The shared schemas of an OpenAPI document (OAS 3.2.0, section 4.7).

Every endpoint brings its own JSON Schemas, each with its own `$defs`. They move to one place here, where equal ones
become one and different ones of the same name keep apart.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "#/components/schemas/"

_LOCAL = "#/$defs/"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")  # OAS 3.2.0, section 4.7.1


class Components:
    """Gathers schemas under unique names; `schemas` are those so far."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas = dict(schemas)
        self._names: dict[tuple[str, str], str] = {}  # by the name and the meaning of a definition

    def hoist(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The schema without its `$defs`: its references lead to the components, where they are now."""
        definitions: Mapping[str, Any] = schema.get("$defs", {})
        names = {name: self._component(name, definitions) for name in definitions}
        for name, component in names.items():
            self.schemas.setdefault(component, _moved(definitions[name], names))
        return {key: _moved(value, names, key) for key, value in schema.items() if key != "$defs"}

    def _component(self, name: str, definitions: Mapping[str, Any]) -> str:
        reachable = {each: definitions[each] for each in sorted(_reachable(name, definitions))}
        meaning = (name, json.dumps(reachable, sort_keys=True, default=str))
        if meaning not in self._names:
            fitting = _UNFIT.sub("_", name)
            candidates = itertools.chain([fitting], (f"{fitting}_{number}" for number in itertools.count(2)))
            taken = {*self.schemas, *self._names.values()}
            self._names[meaning] = next(each for each in candidates if each not in taken)
        return self._names[meaning]


def _reachable(name: str, definitions: Mapping[str, Any]) -> set[str]:
    """The names of the definitions that this one needs, itself among them."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in definitions and each not in found:
            found.add(each)
            waiting += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(definitions[each], default=str))
    return found


def _moved(value: Any, names: Mapping[str, str], key: str = "") -> Any:
    """The value with every reference to a definition led to its component."""
    if key == "$ref" and isinstance(value, str):
        return _led(value, names)
    if key == "discriminator" and isinstance(value, dict) and isinstance(mapping := value.get("mapping"), dict):
        return {**value, "mapping": {each: _led(target, names) for each, target in mapping.items()}}
    if isinstance(value, dict):
        return {each: _moved(inner, names, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [_moved(each, names) for each in value]
    return value


def _led(reference: str, names: Mapping[str, str]) -> str:
    name = reference.removeprefix(_LOCAL)
    return PREFIX + names.get(name, name) if reference.startswith(_LOCAL) else reference
