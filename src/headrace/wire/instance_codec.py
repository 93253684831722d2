"""The codec of values that somebody else writes: only their class is checked, which costs next to nothing per item.

An endpoint that speaks another API yields what its dialect's encoder can write, JSON or not, so there is no schema to
hold it against, and no JSON to read it from.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from typing_extensions import is_typeddict

from headrace.errors import InvalidItem, WireError
from headrace.wire.annotations import plain
from headrace.wire.codec_protocol import Codec
from headrace.wire.type_name import type_name


class InstanceCodec(Codec):
    """Values of one or of several classes. What is inside of a value, as in `list[int]`, is not looked at."""

    kind: Literal["text", "bytes", "json"] = "json"

    def __init__(self, annotation: Any) -> None:
        """Raises TypeError when it names something else than classes."""
        self.name = type_name(annotation)
        classes = tuple(_classes(annotation))
        try:
            isinstance(None, classes)
        except TypeError as error:
            raise TypeError(f"{self.name} is no class that a value can be held against") from error
        self._classes = classes
        self._exact = frozenset(classes)

    def check(self, value: Any) -> Any:
        """The value itself; raises InvalidItem."""
        if value.__class__ in self._exact or isinstance(value, self._classes):
            return value
        raise InvalidItem(f"{type(value).__name__}, expected {self.name}")

    def dumps(self, value: Any) -> bytes:
        """Raises InvalidItem: it is the dialect's to write."""
        raise InvalidItem(f"{self.name}, which only its dialect can write")

    def loads(self, data: bytes) -> Any:
        """Raises WireError: it is the dialect's to read."""
        raise WireError(f"{self.name} is not read from JSON")

    def schema(self) -> dict[str, Any]:
        """Any JSON: what is written is the dialect's own."""
        return {}


def _classes(annotation: Any) -> Iterator[Any]:
    annotation = plain(annotation)
    if get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _classes(member)
    elif annotation is Any:
        yield object
    elif annotation is None:
        yield type(None)
    elif is_typeddict(annotation):
        yield dict
    else:
        yield get_origin(annotation) or annotation
