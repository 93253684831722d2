"""What services, and programs that call them, are tested with. `docs/howto/testing.md` has an example of everything.

Nothing here needs a test runner. The fixture for pytest stands by itself, in `headrace.testing.fixtures`.
"""

from __future__ import annotations

from headrace.testing.clock import VirtualLoop, run
from headrace.testing.endings import assert_all_ended
from headrace.testing.flaky import FlakyTransport
from headrace.testing.handles import connect
from headrace.testing.server import serving
from headrace.testing.slow import SlowReader

__all__ = ["FlakyTransport", "SlowReader", "VirtualLoop", "assert_all_ended", "connect", "run", "serving"]
