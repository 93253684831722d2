"""A server for the time of a block, be it one test or all of a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from served import Served

IMPORTS_WITHIN = 180.0  # seconds: a large library on a busy core


class PatientlyServed(Served):
    """Like `Served`, for who imports much."""

    def line_with(self, text: str, within: float = IMPORTS_WITHIN) -> str:
        """See `Served.line_with`."""
        return super().line_with(text, within)


@contextmanager
def serving(target: str, *flags: str, **options: Any) -> Iterator[Served]:
    """A server for the time of the block; at its end every stream has ended, once, and no task was forgotten."""
    served = PatientlyServed("run", target, *flags, "--port", "0", **options)
    try:
        yield served.ready()
        served.assert_every_stream_ended()
    finally:
        served.stop()
    assert "never retrieved" not in "".join(served.output)
