"""headrace: write a generator, and it is a production stream on every wire."""

from headrace.errors import StreamError
from headrace.services.context import context
from headrace.services.decorators import endpoint, service
from headrace.wire.annotations import Stream
from headrace.wire.events import Event, Footer, Header

__version__ = "0.1.0"

__all__ = [
    "Event",
    "Footer",
    "Header",
    "Stream",
    "StreamError",
    "__version__",
    "context",
    "endpoint",
    "service",
]
