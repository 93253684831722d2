"""The decoder of an answer, from its content type: what `formats` chose, seen from the other side.

A reader that knows what the stream declares reads any media type that the endpoint may have declared for its text or
its bytes. One that does not goes by the content type alone: `text/*` is text, JSON one document, the unknown bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from headrace.errors import WireError
from headrace.wire.codec import BytesCodec, Codec
from headrace.wire.decoding import Decoder
from headrace.wire.document import DocumentDecoder
from headrace.wire.formats import FORMATS, FRAMES, essence
from headrace.wire.raw import BytesDecoder
from headrace.wire.stream_types import StreamTypes
from headrace.wire.text import TextDecoder

CodecT = TypeVar("CodecT", Codec, Codec | None)


def decoder_for(content_type: str | None, types: StreamTypes, *, unary: bool = False) -> Decoder:
    """A new decoder for one answer.

    Args:
        content_type: the Content-Type header; None or empty where there is none.
        types: what the endpoint declares; `unknown_types()` for a reader that does not know.
        unary: the answer is one value and no stream. It makes no difference to a reader that does not know.

    Raises:
        WireError: the items are neither text nor bytes, and the content type is none that carries others.
    """
    name = essence(content_type or "")
    if types.optional:
        return _unknown(name, content_type or "", types)
    for row in FORMATS:
        if row.only is None and name in row.media_types and (row.unary if unary else row.streams):
            return row.decoder(types)
    match types.item.kind:
        case "text":
            return TextDecoder(types)
        case "bytes":
            return BytesDecoder(types)
    raise WireError(
        f'an answer of type "{name}" for items of type {types.item.name}; ask with an Accept header that names '
        "application/x-ndjson or text/event-stream, and look whether something between changes the answer"
    )


def _unknown(name: str, content_type: str, types: StreamTypes) -> Decoder:
    if name == FRAMES:
        types = _told(content_type, types)
    for row in FORMATS:
        if row.only is None and not row.gathers and name in row.media_types:
            return row.decoder(types)
    if name == "application/json":
        return DocumentDecoder(types)
    return TextDecoder(types) if name.startswith("text/") else BytesDecoder(types)


def _told(content_type: str, types: StreamTypes) -> StreamTypes:
    parameters = {parameter.strip().lower() for parameter in content_type.split(";")[1:]}

    def codec(name: str, otherwise: CodecT) -> CodecT | BytesCodec:
        return BytesCodec() if f"{name}=bytes" in parameters else otherwise

    return replace(
        types,
        item=codec("item", types.item),
        header=codec("header", types.header),
        footer=codec("footer", types.footer),
    )
