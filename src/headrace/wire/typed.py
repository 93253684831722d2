"""The types of one stream: what its items are, and whether a header and a footer stand around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.wire.codec import Codec, codec_for


@dataclass(frozen=True, slots=True)
class StreamTypes:
    """The codecs of a stream. None: the stream declares no header, no footer."""

    item: Codec
    header: Codec | None = None
    footer: Codec | None = None


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
