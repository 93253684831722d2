"""The request and the answer of `/v1/embeddings`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from headrace.engines.engine import Embeddings
from headrace.openai.body import Body, wrong
from headrace.openai.sampling_body import ModelName

MAX_INPUTS = 2048


def _texts(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> Any:
    if isinstance(value, (int, list)):
        raise PydanticCustomError("unsupported", "texts are read here, not token ids")
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text)]
Inputs = Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS), BeforeValidator(_texts)]


class EmbeddingsRequest(Body):
    """Texts to make vectors of. The clients ask for base64 unless they are told otherwise."""

    model: ModelName
    input: Inputs
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None

    def check_dimensions(self, embeddings: Embeddings) -> None:
        """Raises InvalidArguments where vectors of another length were asked for than the model makes."""
        length = len(embeddings.vectors[0])
        if self.dimensions not in (None, length):
            raise wrong("/dimensions", f"{self.dimensions}; this model's vectors have {length}", "unsupported")

    def answer(self, embeddings: Embeddings) -> dict[str, Any]:
        """The document of the answer."""
        tell = in_base64 if self.encoding_format == "base64" else _in_numbers
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": tell(vector)}
                for index, vector in enumerate(embeddings.vectors)
            ],
            "model": self.model,
            "usage": {"prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.prompt_tokens},
        }


def in_base64(vector: Sequence[float]) -> str:
    """The numbers as 32-bit floats, the low byte first, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _in_numbers(vector: Sequence[float]) -> list[float]:
    return [float(number) for number in vector]
