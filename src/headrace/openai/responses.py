"""`/v1/responses` as a dialect."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from headrace.errors import StreamError
from headrace.openai.dialects import Posted, document, streamed
from headrace.openai.parts_document import PartsDocument
from headrace.openai.renaming import renamed
from headrace.openai.responses_object import Response
from headrace.openai.responses_request import ResponsesRequest
from headrace.openai.responses_stream import ResponseEvents
from headrace.wire.dialect import Answer, Refusal


class _Responses(Posted):
    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        request: ResponsesRequest = arguments["request"]
        response = Response(secrets.token_hex(16), int(time.time()), request.repeated())
        return streamed(ResponseEvents(response)) if request.stream else document(PartsDocument(response.ended))

    def refusal(self, error: StreamError, request_id: str) -> Refusal:
        """See `Dialect.refusal`."""
        return super().refusal(renamed(error, _NAMES), request_id)


_NAMES = {
    "/messages": "/input",
    "/max_tokens": "/max_output_tokens",
    "/response_format": "/text/format",
    "/logprobs": "/include",
}

RESPONSES = _Responses(ResponsesRequest)
