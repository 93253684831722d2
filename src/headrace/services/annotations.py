"""How an endpoint says what it streams.

`Stream[Item, Header, Footer]` is short for `AsyncIterator[Item | Header[...] | Footer[...]]`, which is what type
checkers see, so that `yield Header(x)`, `yield item` and `yield Footer(y)` are checked like any other yield. A sync
generator writes `Iterator[Item | Header[...] | Footer[...]]`. Leave out what the stream does not have:
`Stream[Item]`, `Stream[Item, None, Footer]`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin

from headrace.wire.events import Footer, Header

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
            item, header, footer = (*(types if isinstance(types, tuple) else (types,)), None, None)[:3]
            members = [item]
            if header is not None:
                members.append(Header[header])
            if footer is not None:
                members.append(Footer[footer])
            return AsyncIterator[Union[tuple(members)]]  # noqa: UP007


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
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return read_stream(get_args(annotation)[0])
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
    union = arguments[0]
    for member in get_args(union) if get_origin(union) in (Union, UnionType) else (union,):
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


def type_text(annotation: Any) -> str:
    """An annotation as people write it: without module names."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)", r"\1", text)
