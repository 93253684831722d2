"""What goes wrong at the model's server, as this service tells it.

A client sees that it failed and whether to try again. The other server's own words stay in the log: they may name keys
and models that are nobody's business.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from headrace import StreamError
from headrace.errors import ItemTimeout, Overloaded, StreamTruncated

logger = logging.getLogger(__name__)

BUSY = (429, 503, 529)
LONGEST_WAIT = 60  # seconds that a client is told to wait, at most


class ModelFailed(StreamError):
    """The model's server has failed."""

    code = "model_failed"
    status = 502


class CutAnswer(StreamTruncated):
    """The model's server has stopped in the middle of its answer."""


class FilteredAnswer(StreamError):
    """The model's server has withheld the rest of the answer."""

    code = "content_filter"


class LongAnswer(StreamError):
    """The answer goes on, but the model has reached its limit."""

    code = "length"


INCOMPLETE = {"": CutAnswer, "content_filter": FilteredAnswer, "length": LongAnswer}
"""By the reason for which an answer is over; a server that gives none has broken off."""


@contextmanager
def told(lost: StreamError) -> Iterator[None]:
    """Translates what the client of the API raises; `lost` is what a connection that breaks means here."""
    try:
        yield
    except (APIError, httpx2.TransportError, JSONDecodeError) as error:
        logger.warning("the model's server: %s: %s", type(error).__name__, error)
        raise failure_of(error, lost) from error


def failure_of(error: Exception, lost: StreamError) -> StreamError:
    """The error that a client of this service is told."""
    match error:
        case APITimeoutError() | httpx2.TimeoutException():
            return ItemTimeout("the model's server has said nothing for too long")
        case APIConnectionError() | httpx2.TransportError():
            return lost
        case APIStatusError(status_code=status) if status in BUSY:
            return Overloaded("the model's server is busy", retry_after(error.response))
        case _:
            return ModelFailed()


def retry_after(response: httpx2.Response) -> int:
    """The seconds of `Retry-After`; 1 where there are none."""
    seconds = response.headers.get("retry-after", "")
    return min(int(seconds), LONGEST_WAIT) if seconds.isascii() and seconds.isdigit() else 1
