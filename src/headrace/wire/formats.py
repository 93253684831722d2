"""The table of formats, and which of them answers a request (proactive negotiation, RFC 9110, section 12.1).

A new format is one file and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from headrace.errors import NotAcceptable
from headrace.wire.accept import parse_accept, preference
from headrace.wire.decoding import Decoder
from headrace.wire.dialect import Answer
from headrace.wire.document import DocumentDecoder, DocumentEncoder
from headrace.wire.encoding import Encoder
from headrace.wire.frames import FrameDecoder, FrameEncoder
from headrace.wire.gathered import GatheredDecoder, GatheredEncoder
from headrace.wire.ndjson import NdjsonDecoder, NdjsonEncoder
from headrace.wire.raw import BytesDecoder, BytesEncoder
from headrace.wire.sse import SseDecoder, SseEncoder
from headrace.wire.stream_types import StreamTypes
from headrace.wire.text import TextDecoder, TextEncoder

FRAMES = "application/vnd.headrace.frames"


@dataclass(frozen=True, slots=True)
class Format:
    """One row of the table."""

    name: str
    media_types: tuple[str, ...]
    encoder: Callable[[StreamTypes], Encoder]
    decoder: Callable[[StreamTypes], Decoder]
    only: Literal["text", "bytes"] | None = None  # the kind of item it is for; it takes on a declared media type
    gathers: bool = False  # nothing is sent before the end is known
    streams: bool = True
    unary: bool = False
    named: bool = False  # only for who asks for exactly this; no wildcard picks it
    tells_bytes: bool = False  # bytes stand in it as they are, so the content type must say where


# The order decides between formats that a client likes equally well; so the first that can be used is the default.
FORMATS = (
    Format("text", ("text/plain",), TextEncoder, TextDecoder, only="text", unary=True),
    Format("bytes", ("application/octet-stream",), BytesEncoder, BytesDecoder, only="bytes", unary=True),
    Format("ndjson", ("application/x-ndjson", "application/jsonl"), NdjsonEncoder, NdjsonDecoder),
    Format("sse", ("text/event-stream",), SseEncoder, SseDecoder),
    Format("frames", (FRAMES,), FrameEncoder, FrameDecoder, named=True, tells_bytes=True),
    Format("json", ("application/json",), GatheredEncoder, GatheredDecoder, gathers=True),
    Format(
        "document", ("application/json",), DocumentEncoder, DocumentDecoder, gathers=True, streams=False, unary=True
    ),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a request is answered in. `content_type` is the header's value, with its parameters."""

    format: Format
    content_type: str
    types: StreamTypes = field(repr=False)

    def answer(self) -> Answer:
        """A new one, for one stream."""
        return Answer(self.format.encoder(self.types), self.content_type, self.format.gathers)


def choose(accept: str | None, types: StreamTypes, *, unary: bool = False, media_type: str | None = None) -> Choice:
    """Picks the format of an answer.

    Args:
        accept: the Accept header, or None where there is none.
        types: the types of the stream, or of the one value.
        unary: the endpoint returns one value instead of streaming.
        media_type: what the endpoint declares its text or bytes to be, `audio/wav` or `text/markdown` for instance.

    Raises:
        NotAcceptable: nothing that the client accepts is available; the error names what is.
    """
    return _choose(accept, types, unary, media_type)


@lru_cache(maxsize=512)  # most requests of a server are alike
def _choose(accept: str | None, types: StreamTypes, unary: bool, media_type: str | None) -> Choice:
    ranges = parse_accept(accept)
    offers = list(_offers(types, unary, media_type))
    best: tuple[tuple[float, int], _Offer] | None = None
    for offer in offers:
        liked = preference(ranges, essence(offer.media_type), exact=offer.named)
        if liked is not None and (best is None or liked > best[0]):
            best = liked, offer
    if best is None:
        available = list(dict.fromkeys(offer.media_type for offer in offers))
        raise NotAcceptable(
            f"none of the accepted media types is available; there are: {', '.join(available)}", available
        )
    offer = best[1]
    return Choice(offer.format, _content_type(offer, types), types)


@dataclass(frozen=True, slots=True)
class _Offer:
    format: Format
    media_type: str
    named: bool  # only for who asks for exactly this, because the header and the footer would be lost for instance


def _offers(types: StreamTypes, unary: bool, media_type: str | None) -> Iterator[_Offer]:
    """All that would do, in the order of the table; a declared media type before the format's own."""
    typed = types.header is not None or types.footer is not None
    for format_ in FORMATS:
        if not _usable(format_, types, unary):
            continue
        declared = (media_type,) if media_type is not None and format_.only is not None else ()
        for name in (*declared, *format_.media_types):
            yield _Offer(format_, name, named=format_.named or (typed and format_.only is not None))


def _usable(format_: Format, types: StreamTypes, unary: bool) -> bool:
    if format_.only is not None and format_.only != types.item.kind:
        return False
    return format_.unary if unary else format_.streams


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def _content_type(offer: _Offer, types: StreamTypes) -> str:
    # Of the types used here only text has a charset; JSON is always UTF-8 (RFC 8259, section 8.1).
    media_type = offer.media_type
    if media_type.lower().startswith("text/") and "charset=" not in media_type.lower():
        return f"{media_type}; charset=utf-8"
    if offer.format.tells_bytes:
        codecs = {"item": types.item, "header": types.header, "footer": types.footer}
        raw = [name for name, codec in codecs.items() if codec is not None and codec.kind == "bytes"]
        return "; ".join([media_type, *(f"{name}=bytes" for name in raw)])
    return media_type
