"""The Python client: `Client` and `AsyncClient` have the same surface, `Timeout` is what streams need of timeouts."""

from __future__ import annotations

from headrace.client.aio import AsyncClient, AsyncStream
from headrace.client.conversation import AsyncConversation
from headrace.client.conversation_sync import Conversation
from headrace.client.statistics import Statistics
from headrace.client.sync import Client, Stream
from headrace.client.timeouts import Timeout

__all__ = [
    "AsyncClient",
    "AsyncConversation",
    "AsyncStream",
    "Client",
    "Conversation",
    "Statistics",
    "Stream",
    "Timeout",
]
