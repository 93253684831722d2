"""headrace: write a generator, and it is a production stream on every wire."""

from headrace.errors import StreamError
from headrace.server.mounting import asgi
from headrace.services.context import context
from headrace.services.decorators import asgi_app, endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.streams.opened import opened
from headrace.wire.annotations import Stream
from headrace.wire.events import Event, Footer, Header

__version__ = "0.1.0"

__all__ = [
    "Event",
    "Footer",
    "Handle",
    "Header",
    "Stream",
    "StreamError",
    "__version__",
    "asgi",
    "asgi_app",
    "context",
    "depends",
    "endpoint",
    "opened",
    "service",
]
