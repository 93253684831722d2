"""What batched functions know of the service whose code calls them (`headrace.batching.surroundings`)."""

from __future__ import annotations

import asyncio

from headrace.batching.surroundings import Caller, Surroundings
from headrace.metrics import Metrics
from headrace.services.context import current


def surroundings(metrics: Metrics) -> Surroundings:
    """Those of a service on the running event loop, which is measured here."""
    return Surroundings(asyncio.get_running_loop(), metrics, _caller)


def _caller() -> Caller | None:
    request = current()
    return None if request is None else Caller(request.request_id, request.stream.children)
