"""An endpoint's parameters: where each comes from, and how bytes become checked values.

By default all of them come from one JSON object. One parameter may be the request's body itself: `bytes` takes it
whole, `AsyncIterator[bytes]` as it arrives, `AsyncIterator[T]` as NDJSON lines. The others then come from the query,
as all do for `GET`. What comes from the query must be scalars.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Required, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from typing_extensions import TypedDict

from headrace.errors import InvalidArguments, MalformedBody
from headrace.services.example import example_of
from headrace.wire.codec import Codec, codec_for

ERRORS_SHOWN = 8
"""More errors than this are counted and not listed."""

DETAIL_CHARACTERS = 160

SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})


@dataclass(frozen=True, slots=True)
class BodyParameter:
    """The parameter that takes the body itself.

    `items` is None for `bytes`, which takes the body whole. Otherwise the parameter is an async iterator: of the body's
    chunks where `items.kind` is "bytes", of its NDJSON lines where it is anything else.
    """

    name: str
    items: Codec | None


class Arguments:
    """The parameters of one endpoint.

    Attributes:
        body: the parameter that takes the body itself, if there is one.
        required: whether at least one of the others has no default.
    """

    def __init__(self, name: str, parameters: Sequence[inspect.Parameter], body: BodyParameter | None) -> None:
        """Raises TypeError when pydantic cannot check one of the types."""
        self.body = body
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.required = len(self._defaults) < len(parameters)
        # A TypedDict and not a model: any parameter name is allowed, and a value left out stays out, so that the
        # method's own default counts.
        make: Any = TypedDict
        schema = make(
            name, {p.name: (NotRequired if p.name in self._defaults else Required)[p.annotation] for p in parameters}
        )
        schema.__pydantic_config__ = ConfigDict(extra="forbid")
        try:
            self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(schema)
        except PydanticSchemaGenerationError as error:
            raise TypeError(str(error).splitlines()[0]) from error

    def from_json(self, data: bytes) -> dict[str, Any]:
        """The values from a JSON object.

        Raises:
            MalformedBody: not JSON.
            InvalidArguments: JSON that does not fit.
        """
        try:
            return self._adapter.validate_json(data or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise MalformedBody(f"the body is not JSON: {first['msg'].removeprefix('Invalid JSON: ')}") from None
            raise self._invalid(error) from None

    def from_query(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The values from the pairs of a query.

        Raises:
            InvalidArguments: they do not fit.
        """
        try:
            return self._adapter.validate_strings(dict(pairs))
        except ValidationError as error:
            raise self._invalid(error) from None

    def _invalid(self, error: ValidationError) -> InvalidArguments:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        errors = [
            {"pointer": _pointer(each["loc"]), "detail": each["msg"][:DETAIL_CHARACTERS], "type": each["type"]}
            for each in found[:ERRORS_SHOWN]
        ]
        more = f" (and {len(found) - ERRORS_SHOWN} more)" if len(found) > ERRORS_SHOWN else ""
        where = errors[0]["pointer"] or "the body"
        return InvalidArguments(f"{where}: {errors[0]['detail']}{more}", errors, self.example())

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the object, defaults included."""
        schema = self._adapter.json_schema()
        for name, default in self._defaults.items():
            try:
                schema["properties"][name]["default"] = json.loads(json.dumps(default))
            except (TypeError, ValueError):
                continue  # a default that JSON cannot say: the parameter is shown as optional
        return schema

    def example(self) -> Any:
        """An object that fits: what the user can send to see the endpoint work."""
        return example_of(self.schema())

    def unfit_for_query(self) -> list[str]:
        """The parameters that no query can carry."""
        schema = self.schema()
        definitions = schema.get("$defs", {})
        return [name for name, each in schema.get("properties", {}).items() if not _is_scalar(each, definitions)]


def body_parameter(parameter: inspect.Parameter) -> BodyParameter | None:
    """The parameter as one that takes the body itself; None when it is an ordinary one.

    Raises:
        TypeError: an iterator whose items pydantic cannot check.
    """
    if parameter.annotation is bytes:
        return BodyParameter(parameter.name, None)
    if get_origin(parameter.annotation) is AsyncIterator:
        return BodyParameter(parameter.name, codec_for(get_args(parameter.annotation)[0]))
    return None


def _pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _is_scalar(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        return all(_is_scalar(each, definitions) for each in schema["anyOf"])
    return schema.get("type") in SCALARS or "enum" in schema or "const" in schema
