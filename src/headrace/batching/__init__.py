"""Calls that run together: `@batch` (`dynamic`) runs them as one, `@continuous_batch` (`continuous`) step by step."""

from headrace.batching.continuous import continuous_batch
from headrace.batching.dynamic import batch
from headrace.batching.run import current_batch
from headrace.batching.slots import Slot, Slots

__all__ = ["Slot", "Slots", "batch", "continuous_batch", "current_batch"]
