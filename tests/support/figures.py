"""What the fault tests share: the type of a figure, and how much of them is run."""

import os
from collections.abc import Callable

import pytest

Figure = Callable[[str, str, float, float], None]
"""`figure(row, what, reached, asked)` records a figure, and fails when it is not reached."""

FULL = os.environ.get("HEADRACE_FULL") == "1"
"""The storms in their full size too; otherwise a tenth of it."""

NAIVE = os.environ.get("HEADRACE_NAIVE") == "1"
"""Against the server of `tests/e2e/faults/naive.py`."""

ONLY_IN_FULL = [pytest.mark.slow, pytest.mark.skipif(not FULL, reason="runs with HEADRACE_FULL=1")]
"""Marks of a storm of full size."""
