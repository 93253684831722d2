"""`/v1/messages`, Anthropic's route, as a dialect."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from headrace.errors import StreamError
from headrace.openai import messages_errors
from headrace.openai.dialects import Posted, document, streamed
from headrace.openai.messages_reply import Reply
from headrace.openai.messages_request import MessagesRequest
from headrace.openai.messages_stream import MessageEvents
from headrace.openai.parts_document import PartsDocument
from headrace.openai.renaming import renamed
from headrace.wire.dialect import Answer, Refusal


class _Messages(Posted):
    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        request: MessagesRequest = arguments["request"]
        reply = Reply(f"msg_{secrets.token_hex(16)}", request.model)
        return streamed(MessageEvents(reply)) if request.stream else document(PartsDocument(reply.ended))

    def refusal(self, error: StreamError, request_id: str) -> Refusal:
        """See `Dialect.refusal`."""
        return messages_errors.refusal(renamed(error, _NAMES), request_id)


_NAMES = {"/stop": "/stop_sequences", "/response_format": "/output_config/format"}

MESSAGES = _Messages(MessagesRequest)
