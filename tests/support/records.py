"""The records of a stream of server-sent events, for tests of the APIs that name them."""

import json
from typing import Any

from headrace.wire.sse import EventStreamParser


def records(data: bytes) -> list[tuple[str, Any]]:
    """The name and the JSON of each record; comments tell nothing, and what is not complete is none."""
    return [(event.event, json.loads(event.data)) for event in EventStreamParser().feed(data)]
