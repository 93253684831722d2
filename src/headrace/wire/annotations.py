"""How an endpoint says what it streams.

`Stream[Item, Header, Footer]` is short for `AsyncIterator[Item | Header[...] | Footer[...]]`, which is what type
checkers see, so that `yield Header(x)`, `yield item` and `yield Footer(y)` are checked like any other yield. A sync
generator writes `Iterator[Item | Header[...] | Footer[...]]`. Leave out what the stream does not have:
`Stream[Item]`, `Stream[Item, None, Footer]`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from headrace.wire.events import Footer, Header
from headrace.wire.type_name import type_name

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    I = TypeVar("I")  # noqa: E741
    H = TypeVar("H", default=None)
    F = TypeVar("F", default=None)

    Stream: TypeAlias = AsyncIterator[Union[I, Header[H], Footer[F]]]  # noqa: UP007
else:

    class Stream:
        """`Stream[Item, Header, Footer]`, the annotation of a typed stream (see the head of this file)."""

        def __class_getitem__(cls, types: Any) -> Any:
            types = types if isinstance(types, tuple) else (types,)
            if not 1 <= len(types) <= 3:
                raise TypeError(f"Stream takes an item type, a header and a footer, not {len(types)} types")
            item, header, footer = (*types, None, None)[:3]
            members = [item]
            if header is not None:
                members.append(Header[header])
            if footer is not None:
                members.append(Footer[footer])
            return AsyncIterator[Union[tuple(members)]]  # noqa: UP007


ENDPOINT = "__headrace_endpoint__"
"""Where `@endpoint` leaves, on a function, what it was given: its `path`, its `methods` and the rest."""

ASYNC_FORMS = (AsyncIterator, AsyncIterable, AsyncGenerator)
SYNC_FORMS = (Iterator, Iterable, Generator)


@dataclass(frozen=True, slots=True)
class StreamAnnotation:
    """What a stream's annotation says. `header` and `footer` are None where it declares none."""

    item: Any
    header: Any
    footer: Any
    is_async: bool


def is_stream_form(origin: Any) -> bool:
    """Whether a type's origin is one of the iterator forms, async or not, that a stream is annotated with."""
    return origin in ASYNC_FORMS or origin in SYNC_FORMS


def read_stream(annotation: Any) -> StreamAnnotation | None:
    """The parts of a stream's annotation; None for the annotation of a plain value.

    Raises:
        TypeError: the annotation is a stream's and cannot be read: no item type, or two headers.
    """
    annotation = plain(annotation)
    origin = get_origin(annotation) or annotation
    if origin is Stream:
        raise TypeError("Stream needs its item type: Stream[str], Stream[Item, Header, Footer]")
    if not is_stream_form(origin):
        return None
    arguments = get_args(annotation)
    if not arguments:
        raise TypeError(f"{origin.__name__} needs its item type: {origin.__name__}[str]")
    items: list[Any] = []
    headers: list[Any] = []
    footers: list[Any] = []
    union = plain(arguments[0])
    if get_origin(union) not in (Union, UnionType):
        members: tuple[Any, ...] = (arguments[0],)
    else:
        members = get_args(union)
    for member in members:
        kind = get_origin(member) or member
        if kind in (Header, Footer):
            (headers if kind is Header else footers).append((get_args(member) or (Any,))[0])
        else:
            items.append(member)
    if len(headers) > 1 or len(footers) > 1 or not items:
        raise TypeError("a stream has one item type, at most one Header and at most one Footer")
    return StreamAnnotation(
        item=Union[tuple(items)],  # noqa: UP007
        header=headers[0] if headers else None,
        footer=footers[0] if footers else None,
        is_async=origin in ASYNC_FORMS,
    )


def plain(annotation: Any) -> Any:
    """An annotation without its metadata, and what a `type X = ...` stands for."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def resolve(annotation: Any, function: Callable[..., Any], owner: type) -> Any:
    """The type that an annotation of a method names, its metadata kept.

    Names are looked up where the function stands, then in the class, as they would be without
    `from __future__ import annotations`. Raises whatever the user's expression raises.
    """
    holder = SimpleNamespace(
        __annotations__={"it": annotation}, __type_params__=getattr(function, "__type_params__", ())
    )
    names: dict[str, Any] = getattr(function, "__globals__", {})
    try:
        return get_type_hints(holder, names, include_extras=True)["it"]
    except NameError:
        inside = {name: value for base in reversed(owner.__mro__) for name, value in vars(base).items()}
        return get_type_hints(holder, names, inside, include_extras=True)["it"]


def type_text(annotation: Any) -> str:
    """An annotation as people write it: without module names and metadata; one that is still text, as it is."""
    return annotation.strip("'\"") if isinstance(annotation, str) else type_name(annotation)
