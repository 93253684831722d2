"""What the streamlet makes and its readers take: one place says it for both, and needs nothing but pydantic.

STREAM_TYPES is a stream of items only, WHOLE_TYPES one with a header before them and a footer after them.
"""

from pydantic import BaseModel

from headrace.wire.typed import stream_types


class Chunk(BaseModel):
    words: list[str]


class Start(BaseModel):
    characters: int


class Totals(BaseModel):
    chunks: int
    words: int


STREAM_TYPES = stream_types(Chunk)
WHOLE_TYPES = stream_types(Chunk, header_type=Start, footer_type=Totals)
