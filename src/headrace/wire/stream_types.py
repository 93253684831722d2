"""The types of one stream: what its items are, and whether a header and a footer stand around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from headrace.wire.codec import Codec, codec_for
from headrace.wire.events import Order
from headrace.wire.instance_codec import InstanceCodec
from headrace.wire.untyped_codec import UntypedCodec

ItemT = TypeVar("ItemT", default=Any)
HeaderT = TypeVar("HeaderT", default=Any)
FooterT = TypeVar("FooterT", default=Any)


@dataclass(frozen=True, slots=True)
class StreamTypes(Generic[ItemT, HeaderT, FooterT]):
    """The codecs of a stream. None: the stream declares no header, no footer.

    `optional`: a header and a footer may come or not. For readers that do not know what the stream declares.
    """

    item: Codec
    header: Codec | None = None
    footer: Codec | None = None
    optional: bool = False

    def order(self) -> Order:
        """A new check of one stream's order."""
        return Order(header=self.header is not None, footer=self.footer is not None, optional=self.optional)


@overload
def stream_types(item: type[ItemT]) -> StreamTypes[ItemT, None, None]: ...
@overload
def stream_types(item: type[ItemT], *, header_type: type[HeaderT]) -> StreamTypes[ItemT, HeaderT, None]: ...
@overload
def stream_types(item: type[ItemT], *, footer_type: type[FooterT]) -> StreamTypes[ItemT, None, FooterT]: ...
@overload
def stream_types(
    item: type[ItemT], *, header_type: type[HeaderT], footer_type: type[FooterT]
) -> StreamTypes[ItemT, HeaderT, FooterT]: ...
@overload
def stream_types(item: Any, *, header_type: Any = None, footer_type: Any = None) -> StreamTypes: ...
def stream_types(item: Any, *, header_type: Any = None, footer_type: Any = None) -> StreamTypes:
    """Makes the codecs of type annotations.

    Raises:
        TypeError: values of one of the types cannot be written as JSON.
    """
    return StreamTypes(
        item=codec_for(item),
        header=None if header_type is None else codec_for(header_type),
        footer=None if footer_type is None else codec_for(footer_type),
    )


def instance_types(item: Any, *, header_type: Any = None, footer_type: Any = None) -> StreamTypes:
    """As `stream_types`, for values that a dialect writes (`InstanceCodec`).

    Raises:
        TypeError: one of the types is no class.
    """
    return StreamTypes(
        item=InstanceCodec(item),
        header=None if header_type is None else InstanceCodec(header_type),
        footer=None if footer_type is None else InstanceCodec(footer_type),
    )


def unknown_types() -> StreamTypes:
    """For a reader that knows nothing of the stream: any JSON, with or without a header and a footer."""
    codec = UntypedCodec()
    return StreamTypes(codec, codec, codec, optional=True)
