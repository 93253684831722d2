"""An endpoint's parameters: where each comes from, and how bytes become checked values.

By default all of them come from one JSON object. One parameter may be the request's body itself: `bytes` takes it
whole, `AsyncIterator[bytes]` as it arrives, `AsyncIterator[T]` as NDJSON lines; in sync code the same are `Iterator`s.
The others then come from the query, as all do for `GET`. What comes from the query must be scalars, each given once.
Those that the path names come from there, and are scalars too.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Required, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import SchemaError, from_json, to_json
from typing_extensions import TypedDict

from headrace.errors import InvalidArguments, MalformedBody
from headrace.services.example import example_of
from headrace.services.json_shape import is_deeper
from headrace.services.refusals import pointer, refusal, shortened
from headrace.services.structs import builtins_of, struct_annotation, struct_type
from headrace.streams.closing import AsyncClosing
from headrace.streams.iterated import iterated
from headrace.wire.annotations import plain
from headrace.wire.codec import Codec, codec_for
from headrace.wire.events import Footer, Header

SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})

DEEPEST = 64
"""Levels of arrays and objects in a body."""

UNCHECKABLE = (PydanticUserError, SchemaError, NameError, TypeError, ValueError, RecursionError)
"""What pydantic raises for a type that it has no schema for."""


@dataclass(frozen=True, slots=True)
class BodyParameter:
    """The parameter that takes the body itself.

    `items` is None for `bytes`, which takes the body whole. Otherwise the value is an async iterator: of the body's
    chunks where `items.kind` is "bytes", of its NDJSON lines where it is anything else. Sync code gets it `Blocking`.
    """

    name: str
    items: Codec | None

    def checked(self, value: Any) -> Any:
        """A value from the same process: bytes, or an iterator whose items are checked as they come.

        Raises:
            InvalidArguments: it is neither.
        """
        if self.items is None:
            wanted, fits = "bytes", isinstance(value, (bytes, bytearray, memoryview))
        else:
            wanted, fits = f"an AsyncIterator[{self.items.name}]", isinstance(value, (AsyncIterable, Iterable))
        if not fits or (self.items is not None and isinstance(value, (str, bytes, Mapping))):
            detail = f"{type(value).__name__}, expected {wanted}"
            where = pointer([self.name])
            raise InvalidArguments(f"{where}: {detail}", [{"pointer": where, "detail": detail, "type": "type"}])
        return bytes(value) if self.items is None else _passed_on(self.items, value)


class Arguments:
    """The parameters of one endpoint.

    Attributes:
        body: the parameter that takes the body itself, if there is one.
        path: those that come from the path, if there are any.
        required: whether at least one of the others must be given.
        names: of the others.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[inspect.Parameter],
        body: BodyParameter | None,
        path: Arguments | None = None,
    ) -> None:
        """Raises TypeError when one of the types cannot be checked."""
        self.body = body
        self.path = path
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        types = {p.name: p.annotation for p in parameters}
        try:
            self._adapter = self._adapt(name, types)
        except UNCHECKABLE:
            types = {name: struct_annotation(annotation) for name, annotation in types.items()}
            try:
                self._adapter = self._adapt(name, types)
            except UNCHECKABLE as error:
                raise TypeError(why_uncheckable(error)) from error
        try:
            self._schema = self._describe(types)
        except UNCHECKABLE as error:
            raise TypeError(why_uncheckable(error)) from error
        self._example = self._fitting_example()
        self.required = bool(self._schema.get("required"))
        self.names = tuple(types)

    def _adapt(self, name: str, types: Mapping[str, Any]) -> TypeAdapter[dict[str, Any]]:
        # A TypedDict and not a model: any parameter name is allowed, and a value left out stays out, so that the
        # method's own default counts.
        make: Any = TypedDict
        members = {each: (NotRequired if each in self._defaults else Required)[types[each]] for each in types}
        schema = make(name, members)
        schema.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
        return TypeAdapter(schema)

    def from_json(self, data: bytes) -> dict[str, Any]:
        """The values from a JSON object; no bytes at all stand for an empty one, and the last of equal names counts.

        Raises:
            MalformedBody: not JSON.
            InvalidArguments: JSON that does not fit.
        """
        data = data or b"{}"
        refuse_unsafe(data)
        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            if error.error_count() == 1 and (first := error.errors(include_input=False)[0])["type"] == "json_invalid":
                raise _not_json(first["msg"].removeprefix("Invalid JSON: ")) from None
            raise refusal(error, from_json(data), self.example()) from None

    def from_path(self, parts: Mapping[str, str]) -> dict[str, Any]:
        """The values that come from the path, already decoded; raises InvalidArguments where they do not fit."""
        return {} if self.path is None else self.path.from_query(parts.items())

    def from_query(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The values from the pairs of a query.

        Raises:
            InvalidArguments: they do not fit, or a name is given twice.
        """
        texts: dict[str, str] = {}
        for name, text in pairs:
            if name in texts:
                where = shortened(pointer([name]), 80)
                entry = {"pointer": where, "detail": "given more than once", "type": "repeated"}
                raise InvalidArguments(f"{where}: given more than once", [entry], self.example())
            texts[name] = text
        try:
            return self._adapter.validate_strings(texts)
        except ValidationError as error:
            literals = {str(each["loc"][0]) for each in error.errors() if each["type"] == "literal_error"}
            if literals:  # pydantic does not read Literal[1, 2] from text
                values = {name: _json_or_text(text) if name in literals else text for name, text in texts.items()}
                try:
                    return self._adapter.validate_python(values)
                except ValidationError:
                    pass
            raise refusal(error, texts, self.example()) from None

    def from_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a call from the same process, which are objects already.

        Raises:
            InvalidArguments: they do not fit. Of a parameter that is an iterator, that shows when it is read.
        """
        body = self.body.name if self.body is not None else None
        in_path = () if self.path is None else self.path.names
        ordinary = {name: value for name, value in values.items() if name != body and name not in in_path}
        try:
            checked = self._adapter.validate_python(ordinary)
        except ValidationError as error:
            raise refusal(error, ordinary, self.example()) from None
        if self.path is not None:
            checked |= self.path.from_values({name: values[name] for name in in_path if name in values})
        if self.body is not None and self.body.name in values:
            checked[self.body.name] = self.body.checked(values[self.body.name])
        return checked

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the object, with those defaults that JSON can say and that fit."""
        return copy.deepcopy(self._schema)

    def example(self) -> Any:
        """An object that fits: what the user can send to see the endpoint work.

        For types with rules that no schema tells, a pattern or a validator of the user's, it is the nearest guess.
        """
        return copy.deepcopy(self._example)

    def is_stream(self, name: str) -> bool:
        """Whether the parameter is an iterator over what is yet to arrive."""
        return self.body is not None and self.body.name == name and self.body.items is not None

    def unfit_for_query(self) -> list[str]:
        """The parameters that no query can carry."""
        definitions = self._schema.get("$defs", {})
        return [name for name, each in self._schema.get("properties", {}).items() if not _is_scalar(each, definitions)]

    def _describe(self, types: Mapping[str, Any]) -> dict[str, Any]:
        schema = self._adapter.json_schema(schema_generator=_Schema)
        members = schema.get("properties", {})
        for name, annotation in types.items():
            if struct := struct_type(annotation):
                described = dict(struct.schema)
                schema["$defs"] = {**described.pop("$defs", {}), **schema.get("$defs", {})}
                members[name] = {**described, "title": members[name].get("title", name)}
        for name, default in self._defaults.items():
            if name in members:  # not if it goes by an alias
                members[name] |= self._default(name, default)
        return schema

    def _default(self, name: str, default: Any) -> dict[str, Any]:
        try:
            data = to_json({name: default}, fallback=builtins_of, inf_nan_mode="constants")
            value = from_json(data, allow_inf_nan=False)[name]
        except (ValueError, TypeError, RecursionError):
            return {}  # JSON cannot say it: the parameter is shown as optional
        return {"default": value} if self._accepts(name, value) else {}

    def _accepts(self, name: str, value: Any) -> bool:
        """Whether one argument alone gives no error of its own."""
        try:
            self._adapter.validate_json(json.dumps({name: value}))
        except ValidationError as error:
            return all(each["loc"][0] != name for each in error.errors())
        except Exception:  # a validator of the user's that stumbles over it
            return False
        return True

    def _fitting_example(self) -> Any:
        guesses = [example_of(self._schema), example_of(self._schema, believe=False)]
        for guess in guesses:
            try:
                self._adapter.validate_json(json.dumps(guess))
            except Exception:  # validators are the user's: anything can come out
                continue
            return guess
        return guesses[0]


class _Schema(GenerateJsonSchema):
    """Leaves out defaults that JSON cannot say, without a warning."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012


def body_parameter(parameter: inspect.Parameter) -> BodyParameter | None:
    """The parameter as one that takes the body itself; None when it is an ordinary one.

    Raises:
        TypeError: an iterator whose items pydantic cannot check.
    """
    annotation = plain(parameter.annotation)
    if annotation is bytes:
        return BodyParameter(parameter.name, None)
    if get_origin(annotation) in (AsyncIterator, Iterator):
        return BodyParameter(parameter.name, codec_for(get_args(annotation)[0]))
    return None


async def _passed_on(codec: Codec, source: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    """The items of a stream that is passed on; its header and its footer are not among them."""
    events = iterated(source)
    async with AsyncClosing(events):
        async for event in events:
            if not isinstance(event, (Header, Footer)):
                yield codec.check(event)


def refuse_unsafe(data: bytes) -> None:
    """Refuses JSON that pydantic would read and nobody should send.

    Raises:
        MalformedBody: nested too deep, or with the NaN and the infinities that RFC 8259 does not know.
    """
    if is_deeper(data, DEEPEST):
        raise _not_json(f"it is nested more than {DEEPEST} levels deep")
    if b"NaN" in data or b"Infinity" in data:  # they may stand in a text
        try:
            from_json(data, allow_inf_nan=False)
        except ValueError as error:
            raise _not_json(str(error)) from None


def _not_json(reason: str) -> MalformedBody:
    return MalformedBody(f"the body is not JSON: {reason}")


def _json_or_text(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text


def why_uncheckable(error: Exception) -> str:
    """The first sentence of what pydantic says of such a type, without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, SchemaError):
        return lines[-1].removeprefix("error: ")
    if isinstance(error, PydanticInvalidForJsonSchema):
        return "JSON has no form for it"
    if isinstance(error, PydanticSchemaGenerationError):
        return "pydantic has no schema for it"
    return lines[0].partition(" (Unable to generate")[0].rstrip(".")


def _is_scalar(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        return all(_is_scalar(each, definitions) for each in schema["anyOf"])
    return schema.get("type") in SCALARS or "enum" in schema or "const" in schema
