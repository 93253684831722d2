"""Reads one endpoint: where it is served, what it takes, what it gives, and what is wrong with it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_args, get_origin

from headrace.errors import Mistake
from headrace.services.arguments import UNCHECKABLE, Arguments, BodyParameter, why_uncheckable
from headrace.services.decorators import EndpointOptions
from headrace.services.example import example_of
from headrace.services.method import Method, Unreadable, parameter_text, wrong_kind
from headrace.services.mistakes import RETURN
from headrace.services.parameters import own_parameters, read_arguments, takes_self
from headrace.services.paths import PathPattern, read_pattern
from headrace.streams.deadlines import Timeouts
from headrace.wire.annotations import StreamAnnotation, read_stream, type_text
from headrace.wire.dialect import Dialect
from headrace.wire.events import Event
from headrace.wire.stream_types import StreamTypes, instance_types, stream_types

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TIMEOUTS = ("first_item_timeout", "item_timeout", "timeout")
DIALECT = ("schema", "read", "answer", "refusal")

_PATH = re.compile(r"/([A-Za-z0-9._~!$&'()*+,;=:@/-]|\{[A-Za-z_]\w*(:[a-z]+)?\})*", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(; ?[\w-]+=[\w./+-]+)*", re.ASCII)


class Origin(Protocol):
    """Where a stream comes from, as much as counting and bounding it needs: an endpoint, or a mounted application."""

    @property
    def label(self) -> str:
        """Its name in logs and metrics."""
        ...

    @property
    def types(self) -> StreamTypes:
        """Of its streams."""
        ...

    @property
    def timeouts(self) -> Timeouts:
        """How long it may take."""
        ...


@dataclass(frozen=True, slots=True)
class EndpointDefinition:
    """One endpoint, without mistakes.

    Attributes:
        label: `Service.method`, as logs, metrics and errors name it.
        attribute: the method's name on the instance.
        path: as it was declared.
        pattern: of a path with named parts; None for an exact one.
        streams: False for a method that answers once.
        is_async: whether the method runs on the event loop; otherwise it runs on a worker thread.
        types: of the stream, or of the one value (its `item`).
        signature: the parameters as people write them: `(topic: str, lines: int = 4)`.
        timeouts: how long it may take.
        dialect: the other API that it speaks.
    """

    label: str
    attribute: str
    path: str
    pattern: PathPattern | None
    methods: tuple[str, ...]
    streams: bool
    is_async: bool
    types: StreamTypes
    arguments: Arguments
    media_type: str | None
    summary: str
    description: str
    signature: str
    timeouts: Timeouts
    dialect: Dialect | None

    @property
    def body(self) -> BodyParameter | None:
        """The parameter that takes the request's body itself; none where a dialect reads that."""
        return None if self.dialect is not None else self.arguments.body

    def example(self, known: Mapping[str, Any] = {}) -> Any:
        """A body, or the query of a GET, that fits, or nearly. `known` are values that work, by their names."""
        if self.dialect is None:
            found = self.arguments.example()
        else:
            found = example_of(self.dialect.schema) if self.dialect.schema else {}
        return _with(found, known) if isinstance(found, dict) else found

    def example_path(self, known: Mapping[str, Any] = {}) -> str:
        """The path with something in the place of its named parts; `known` as above."""
        if self.pattern is None:
            return self.path
        path = self.arguments.path
        parts = dict(zip(self.pattern.names, self.pattern.names, strict=True))
        return self.pattern.fill(_with(parts if path is None else {**parts, **path.example()}, known))

    def filled(self, arguments: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The path with its named parts taken from the arguments, and the others."""
        if self.pattern is None:
            return self.path, arguments
        names = self.pattern.names
        return self.pattern.fill(arguments), {name: each for name, each in arguments.items() if name not in names}

    @property
    def returns(self) -> str:
        """The item type as people read it: `str*` is a stream of strings."""
        return self.types.item.name + ("*" if self.streams else "")


def _with(example: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: known.get(name, value) for name, value in example.items()}


def read_endpoint(
    owner: type, name: str, marked: Any, options: EndpointOptions
) -> tuple[EndpointDefinition | None, list[Mistake]]:
    """The endpoint that `@endpoint` has marked in a class, or None and its mistakes."""
    if wrong := wrong_kind(owner, name, marked):
        return None, [wrong]
    method = Method(owner, name, marked, options)
    path = options.path or f"/{name}"
    pattern = _check_path(method)
    _check_options(method)
    types: StreamTypes | None = None
    arguments: Arguments | None = None
    streams = False
    if takes_self(method):
        arguments = read_arguments(method, () if pattern is None else pattern.names)
        types, streams = _read_return(method)
    if types is None or arguments is None or method.mistakes:
        return None, method.mistakes
    summary, _, description = inspect.cleandoc(method.function.__doc__ or "").partition("\n")
    return EndpointDefinition(
        label=method.label,
        attribute=name,
        path=path,
        pattern=pattern,
        methods=tuple(options.methods),
        streams=streams,
        is_async=method.is_async,
        types=types,
        arguments=arguments,
        media_type=options.media_type,
        summary=options.summary or summary,
        description=description.strip(),
        signature="(" + ", ".join(map(parameter_text, own_parameters(method))) + ")",
        timeouts=Timeouts(options.first_item_timeout, options.item_timeout, options.timeout),
        dialect=options.dialect,
    ), []


def _check_path(method: Method) -> PathPattern | None:
    """The pattern that the path is, if it is one. HR17: it is no path at all."""
    path: Any = method.options.path
    why = 'A path starts with "/" and is plain text; {name} stands for one part, {name:path} for one with slashes.'
    if path is None:
        return None
    if isinstance(path, str) and _PATH.fullmatch(path):
        try:
            return read_pattern(path)
        except ValueError as error:
            why = f"{error}."
    method.mistake("HR17", f"{method.label} cannot be served at {path!r}", why, f'@endpoint(path="/{method.name}")')
    return None


def _check_options(method: Method) -> None:
    """HR17: what `@endpoint(...)` was given."""
    options, code = method.options, "HR17"
    if options.positional is not None:
        what = f'{method.label}: @endpoint("{options.positional}") does not say what "{options.positional}" is'
        method.mistake(code, what, "Its arguments have names.", f'@endpoint(path="{options.positional}")')
    wrong = [str(each) for each in options.methods if each not in METHODS]
    if isinstance(options.methods, str):
        method.mistake(
            code,
            f'{method.label}: methods="{options.methods}" is one text, not several methods',
            "A text is a sequence of letters.",
            f'@endpoint(methods=("{options.methods}",))',
        )
    elif wrong or not options.methods:
        method.mistake(
            code,
            f"{method.label} cannot answer {', '.join(wrong) or 'without a method'}",
            f"An endpoint answers one or more of {', '.join(METHODS)}.",
            '@endpoint(methods=("GET", "POST"))',
        )
    if options.media_type is not None and not _MEDIA_TYPE.fullmatch(str(options.media_type)):
        method.mistake(
            code,
            f"{method.label}: {options.media_type!r} is not a media type",
            "It becomes the Content-Type of the answer.",
            '@endpoint(media_type="audio/wav")',
        )
    _check_dialect(method)
    for name in TIMEOUTS:
        seconds: Any = getattr(options, name)
        if not (seconds is None or _is_duration(seconds)):
            method.mistake(
                code,
                f"{method.label}: {name}={seconds!r} is not a time",
                "A timeout is a number of seconds, above 0 and finite; without it there is no bound.",
                f"@endpoint({name}=30)",
            )


def _check_dialect(method: Method) -> None:
    """HR17: what is no dialect, and what has no meaning beside one."""
    dialect: Any = method.options.dialect
    if dialect is None:
        return
    missing = [each for each in DIALECT if isinstance(dialect, type) or not hasattr(dialect, each)]
    if missing:
        name = dialect.__name__ if isinstance(dialect, type) else repr(dialect)
        what = f"{method.label}: dialect={name} is not a dialect"
        why = f"A dialect is an object with {', '.join(DIALECT)} (headrace.wire.dialect)."
        fix = f"@endpoint(dialect={name}())" if isinstance(dialect, type) else "@endpoint(dialect=CHAT)"
    elif method.options.media_type is not None:
        what = f"{method.label} has a media_type and a dialect"
        why, fix = "The dialect says of what type each answer is.", "@endpoint(dialect=...)"
    else:
        return
    method.mistake("HR17", what, why, fix)


def _is_duration(seconds: Any) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < math.inf


def _read_return(method: Method) -> tuple[StreamTypes | None, bool]:
    """The types, None when they have a mistake, and whether they are a stream's."""
    annotation = method.signature.return_annotation
    if annotation is Unreadable:
        return None, False
    if annotation is inspect.Signature.empty:
        _no_return_type(method)
        return None, False
    form = "AsyncIterator" if method.is_async else "Iterator"
    try:
        stream = read_stream(annotation)
    except TypeError as error:
        method.mistake(
            "HR05", f"{method.label}: {error}", "The item type checks every item.", f"-> {form}[str]", RETURN
        )
        return None, False
    _check_yields(method, stream, annotation)
    types_of = stream_types if method.options.dialect is None else instance_types
    try:
        if stream is None:
            return types_of(annotation), False
        return types_of(stream.item, header_type=stream.header, footer_type=stream.footer), True
    except UNCHECKABLE as error:
        method.mistake(
            "HR05",
            f"{method.label}: {why_uncheckable(error)}",
            "Items are str, bytes, pydantic models, dataclasses, TypedDicts, msgspec Structs, dict, list or scalars.",
            f"-> {form}[Event[A | B]]" if stream and _has_event(stream.item) else "@dataclass\nclass Item:",
            RETURN,
        )
        return None, stream is not None


def _has_event(item: Any) -> bool:
    return any((get_origin(each) or each) is Event for each in get_args(item))


def _no_return_type(method: Method) -> None:
    example = "str"
    if method.yields:
        example = "AsyncIterator[str]" if method.is_async else "Iterator[str]"
    parameters = ", ".join(map(parameter_text, method.signature.parameters.values()))
    method.mistake(
        "HR05",
        f"{method.label}: add a return type, e.g. -> {example}",
        "It becomes the check of every item, the documentation and the client's type.",
        method.first_line(parameters, example),
    )


def _check_yields(method: Method, stream: StreamAnnotation | None, annotation: Any) -> None:
    """HR06: the annotation says a stream and the body does not, or the reverse, or they differ in async."""
    said = type_text(annotation)
    form = "AsyncIterator" if method.is_async else "Iterator"
    if stream is not None and not method.yields:
        what = f"{method.label} says {said} but never yields"
        why = "A stream is made by a generator; a method that returns answers once."
        elsewhere = f"; for a stream that is made elsewhere: def {method.name}" if method.is_async else ""
        fix = f"yield item  # for each of them; or, for one answer: -> {type_text(stream.item)}{elsewhere}"
    elif stream is None and method.yields:
        what = f"{method.label} yields but says {said}"
        why = "A method with yield is a stream of items."
        fix = f"-> {form}[{said}]"
    elif stream is not None and stream.is_async != method.is_async:
        what = f"{method.label} is {'async def' if method.is_async else 'def'} with yield and says {said}"
        why = "async def with yield makes an async iterator, def with yield an ordinary one."
        fix = f"-> {form}[{said.partition('[')[2].removesuffix(']')}]"
    else:
        return
    method.mistake("HR06", what, why, fix, RETURN)
