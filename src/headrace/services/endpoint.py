"""Reads one endpoint: what it takes, what it gives, and what is wrong with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from headrace.errors import Mistake
from headrace.services.annotations import StreamAnnotation, is_stream_form, read_stream, type_text
from headrace.services.arguments import Arguments, BodyParameter, body_parameter
from headrace.services.decorators import ENDPOINT, EndpointOptions
from headrace.services.mistakes import place_of
from headrace.wire.typed import StreamTypes, stream_types

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class EndpointDefinition:
    """One endpoint, without mistakes.

    Attributes:
        label: `Service.method`, as logs, metrics and errors name it.
        attribute: the method's name on the instance.
        streams: False for a method that answers once.
        is_async: whether the method runs on the event loop; otherwise it runs on a worker thread.
        types: of the stream, or of the one value (its `item`).
        signature: the parameters as people write them: `(topic: str, lines: int = 4)`.
    """

    label: str
    attribute: str
    path: str
    methods: tuple[str, ...]
    streams: bool
    is_async: bool
    types: StreamTypes
    arguments: Arguments
    media_type: str | None
    summary: str
    description: str
    signature: str

    @property
    def returns(self) -> str:
        """The item type as people read it: `str*` is a stream of strings."""
        return self.types.item.name + ("*" if self.streams else "")


def read_endpoint(
    service: str, name: str, function: Callable[..., Any]
) -> tuple[EndpointDefinition | None, list[Mistake]]:
    """The endpoint that `@endpoint` has marked, or None and its mistakes."""
    reader = _Reader(service, name, function)
    endpoint = reader.read()
    return (None if reader.mistakes else endpoint), reader.mistakes


class _Reader:
    """Reads one method and collects what is wrong with it."""

    def __init__(self, service: str, name: str, function: Callable[..., Any]) -> None:
        self.mistakes: list[Mistake] = []
        self._label = f"{service}.{name}"
        self._name = name
        self._marked = function
        self._function = inspect.unwrap(function)
        self._options: EndpointOptions = getattr(function, ENDPOINT)
        self._yields = inspect.isasyncgenfunction(self._function) or inspect.isgeneratorfunction(self._function)
        self._is_async = inspect.isasyncgenfunction(self._function) or inspect.iscoroutinefunction(self._function)

    def _mistake(self, code: str, what: str, why: str, fix: str, word: str = "") -> None:
        self.mistakes.append(Mistake(code, what, place_of(self._marked, word), why, fix))

    def read(self) -> EndpointDefinition | None:
        """The endpoint; None when its signature cannot be read that far."""
        path = self._path()
        self._check_methods()
        signature = self._signature()
        if signature is None:
            return None
        types, streams = self._returns(signature.return_annotation)
        parameters = list(signature.parameters.values())[1:]
        arguments = self._arguments(parameters)
        if types is None or arguments is None:
            return None
        summary, _, description = inspect.cleandoc(self._function.__doc__ or "").partition("\n")
        return EndpointDefinition(
            label=self._label,
            attribute=self._name,
            path=path,
            methods=self._options.methods,
            streams=streams,
            is_async=self._is_async,
            types=types,
            arguments=arguments,
            media_type=self._options.media_type,
            summary=self._options.summary or summary,
            description=description.strip(),
            signature="(" + ", ".join(_parameter_text(parameter) for parameter in parameters) + ")",
        )

    def _path(self) -> str:
        path = self._options.path
        if path is None:
            return f"/{self._name}"
        if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*", path):
            self._mistake(
                "HR17",
                f"{self._label} cannot be served at {path!r}",
                'A path starts with "/" and is plain text; arguments travel in the body or the query.',
                f'@endpoint(path="/{self._name}")',
            )
        return path

    def _check_methods(self) -> None:
        wrong = [method for method in self._options.methods if method not in METHODS]
        if wrong or not self._options.methods:
            self._mistake(
                "HR17",
                f"{self._label} cannot answer {', '.join(wrong) or 'without a method'}",
                f"An endpoint answers one or more of {', '.join(METHODS)}.",
                '@endpoint(methods=("GET", "POST"))',
            )

    def _signature(self) -> inspect.Signature | None:
        """The signature with types for annotations; None, and a mistake, when one of them cannot be read."""
        signature = inspect.signature(self._function)
        try:
            hints = get_type_hints(self._function, include_extras=True)
        except Exception as error:  # annotations are the user's expressions: anything can come out
            self._mistake(
                "HR05",
                f"{self._label}: an annotation cannot be read: {error}",
                "Types must be there when the service starts; what is imported under TYPE_CHECKING is not.",
                "import the type at the top of the file",
            )
            return None
        parameters = [p.replace(annotation=hints.get(p.name, p.empty)) for p in signature.parameters.values()]
        return signature.replace(parameters=parameters, return_annotation=hints.get("return", signature.empty))

    # -- what it gives

    def _returns(self, annotation: Any) -> tuple[StreamTypes | None, bool]:
        """The types, None when they have a mistake, and whether they are a stream's."""
        if annotation is inspect.Signature.empty:
            self._no_return_type()
            return None, False
        try:
            stream = read_stream(annotation)
        except TypeError as error:
            self._mistake(
                "HR05", f"{self._label}: {error}", "The item type checks every item.", "-> AsyncIterator[str]"
            )
            return None, False
        self._check_yields(stream, annotation)
        try:
            if stream is None:
                return stream_types(annotation), False
            return stream_types(stream.item, header_type=stream.header, footer_type=stream.footer), True
        except TypeError as error:
            self._mistake(
                "HR05",
                f"{self._label}: the return type cannot be checked: {error}",
                "Items are str, bytes, pydantic models, dataclasses, TypedDicts, msgspec structs, dict, list, scalars.",
                "make it a dataclass or a pydantic model",
                "->",
            )
            return None, stream is not None

    def _no_return_type(self) -> None:
        example = "str"
        if self._yields:
            example = "AsyncIterator[str]" if self._is_async else "Iterator[str]"
        parameters = ", ".join(_parameter_text(p) for p in inspect.signature(self._function).parameters.values())
        self._mistake(
            "HR05",
            f"{self._label}: add a return type, e.g. -> {example}",
            "It becomes the check of every item, the documentation and the client's type.",
            f"{'async def' if self._is_async else 'def'} {self._name}({parameters}) -> {example}:",
        )

    def _check_yields(self, stream: StreamAnnotation | None, annotation: Any) -> None:
        """HR06: the annotation says a stream and the body does not, or the reverse, or they differ in async."""
        said = type_text(annotation)
        form = "AsyncIterator" if self._is_async else "Iterator"
        if stream is not None and not self._yields:
            what = f"{self._label} says {said} but never yields"
            why = "A stream is made by a generator; a method that returns answers once."
            fix = f"yield each item, or say what it returns: -> {type_text(stream.item)}"
        elif stream is None and self._yields:
            what = f"{self._label} yields but says {said}"
            why = "A method with yield is a stream of items."
            fix = f"-> {form}[{said}]"
        elif stream is not None and stream.is_async != self._is_async:
            what = f"{self._label} is {'async def' if self._is_async else 'def'} with yield and says {said}"
            why = "async def with yield makes an async iterator, def with yield an ordinary one."
            fix = f"-> {form}[{type_text(stream.item)}]"
        else:
            return
        self._mistake("HR06", what, why, fix, "->")

    # -- what it takes

    def _arguments(self, parameters: list[inspect.Parameter]) -> Arguments | None:
        ordinary: list[inspect.Parameter] = []
        body: BodyParameter | None = None
        for parameter in parameters:
            if not self._is_named(parameter):
                continue
            taken = self._body(parameter)
            if taken is None:
                ordinary.append(parameter)
            elif body is None:
                body = taken
            else:
                self._mistake(
                    "HR18",
                    f"{self._label}({parameter.name}): {body.name} already takes the body",
                    "A request has one body.",
                    "keep one of them, and take the other from the query as a scalar",
                    parameter.name,
                )
        try:
            arguments = Arguments(self._name, ordinary, body)
        except TypeError as error:
            self._mistake(
                "HR18",
                f"{self._label}: a parameter's type cannot be checked: {error}",
                "Parameters are scalars, pydantic models, dataclasses, TypedDicts, msgspec structs, dict or list.",
                "make it a dataclass or a pydantic model",
            )
            return None
        self._check_query(arguments, body)
        return arguments

    def _is_named(self, parameter: inspect.Parameter) -> bool:
        """Whether a request can fill the parameter: it has a name, and a type to check the value by."""
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            self._mistake(
                "HR18",
                f"{self._label}({parameter}): a request cannot fill this kind of parameter",
                "Arguments come by name, each with its own type.",
                "name each one: def write(self, topic: str, lines: int = 4)",
                parameter.name,
            )
            return False
        if parameter.annotation is parameter.empty:
            self._mistake(
                "HR05",
                f"{self._label}({parameter.name}): add a type, e.g. {parameter.name}: str",
                "It becomes the check, the docs and the form.",
                f"{parameter.name}: str",
                parameter.name,
            )
            return False
        return True

    def _body(self, parameter: inspect.Parameter) -> BodyParameter | None:
        """The parameter as the one that takes the body; None when it is an ordinary one."""
        streamed = is_stream_form(get_origin(parameter.annotation) or parameter.annotation)
        try:
            body = body_parameter(parameter)
        except (TypeError, IndexError) as error:
            body = None
            why = str(error)
        else:
            why = "The body arrives on the event loop, where only async code can wait for it."
        if streamed and (body is None or not self._is_async):
            self._mistake(
                "HR18",
                f"{self._label}({parameter.name}): a body that is read as it arrives is an AsyncIterator in an async def",
                why,
                f"async def {self._name}(self, {parameter.name}: AsyncIterator[bytes])",
                parameter.name,
            )
            return BodyParameter(parameter.name, None)
        return body

    def _check_query(self, arguments: Arguments, body: BodyParameter | None) -> None:
        if body is not None and "GET" in self._options.methods:
            self._mistake(
                "HR18",
                f"{self._label}({body.name}) takes the body, and GET has none",
                "",
                '@endpoint(methods=("POST",))',
                body.name,
            )
        if body is None and "GET" not in self._options.methods:
            return
        for name in arguments.unfit_for_query():
            self._mistake(
                "HR18",
                f"{self._label}({name}) comes from the query and is not a scalar",
                "A query carries text, numbers and booleans.",
                "a scalar type" if body is not None else '@endpoint(methods=("POST",)), or a scalar type',
                name,
            )


def _parameter_text(parameter: inspect.Parameter) -> str:
    """A parameter as people write it: without module names."""
    text = parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {type_text(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {parameter.default!r}" if ":" in text else f"={parameter.default!r}"
    return text
