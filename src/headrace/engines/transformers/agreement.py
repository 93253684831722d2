"""Which pool a model can lie in: the first one that computes what the model computes without any.

There is no list of families, since new ones come every month. Two short sequences are run through a pool, with all that
a pool is asked for (ragged prompts, one in parts, steps together, a move), and the logits are compared with those of
the whole sequences. So a model that needs what `slots` does not know, or makes its masks in a way of its own, is found
out when it is loaded, and lies in a `serial` pool.

The continuous batching of transformers itself is no third choice: it samples by fewer options, and one bad request (an
empty prompt, say) ends its worker for all.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.engines.pool import Pool
from headrace.engines.transformers.memory import fitting, free_bytes
from headrace.engines.transformers.serial import SerialPool
from headrace.engines.transformers.slots import SlotPool

logger = logging.getLogger("headrace.engines")

SHORT, LONG = 6, 24
"""Tokens of the two sequences; a pool must have positions for the longer one."""

_TOKENS = 1000  # the ids to take them from: those above may mean something else than text
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 0.05  # with 32 bits and more, and with 16; other keys than a row's own change more


class Disagreement(Exception):
    """A pool does not compute what the model computes."""


def agreeing_pool(model: Any, name: str, rows: int, most: int, least: int) -> Pool:
    """The best pool for a model, with its memory.

    Args:
        model: a causal language model, in evaluation mode.
        name: of the model, for the log.
        rows: of the pool.
        most: positions of the pool, where there is room for them; at least `LONG`.
        least: positions that it must have.

    Raises:
        Disagreement: no pool computes what the model computes.
        NoRoom: it does not fit beside the model.
        MemoryError, torch.OutOfMemoryError: likewise, only found out when it was tried.
    """
    reasons = []
    for kind in (SlotPool, SerialPool):
        try:
            tried = kind(model, 2, LONG)
            check(tried, model)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        # A model does not say what it cannot do: it raises anything from anywhere, and that is the answer here.
        except Exception as error:
            reasons.append(f"{kind.__name__}: {error or type(error).__name__}")
            continue
        if reasons:
            logger.warning("%s computes its rows one after another (%s)", name, "; ".join(reasons))
        else:
            logger.info("%s computes its rows together", name)
        positions = fitting(rows, most, least, tried.position_bytes, free_bytes(model.device))
        if positions < most:
            logger.warning("%s has room for %d positions in each of %d rows, not for %d", name, positions, rows, most)
        pool = kind(model, rows, positions)
        pool.compute(0, np.zeros((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64))
        return pool
    raise Disagreement("; ".join(reasons))


def check(pool: Pool, model: Any) -> None:
    """Raises `Disagreement`, or what the model raises, unless an empty pool of two rows does what it should."""
    short, long = (_sequence(length, model.config.get_text_config().vocab_size) for length in (SHORT, LONG))
    of_short, of_long = _logits(model, short), _logits(model, long)
    part, last = LONG // 2, LONG - 1

    def step(first: int, *news: NDArray[np.int64], lengths: list[int]) -> NDArray[np.float32]:
        tokens = np.full((len(news), max(map(len, news))), -1)
        for row, new in enumerate(news):
            tokens[row, : len(new)] = new
        return pool.compute(first, tokens, np.array([len(new) for new in news]), np.array(lengths))

    found = [*step(0, short[:-1], long[:part], lengths=[0, 0]), *step(1, long[part : last - 1], lengths=[part])]
    found += [*step(0, short[-1:], long[last - 1 : last], lengths=[SHORT - 1, last - 1])]
    pool.move(1, 0, last)
    found += [*step(0, long[last:], lengths=[last])]
    expected = [of_short[-2], of_long[part - 1], of_long[last - 2], of_short[-1], of_long[last - 1], of_long[last]]
    tolerance = _TOLERANCE if model.dtype in (torch.float32, torch.float64) else _HALF_TOLERANCE
    difference = max(_difference(*pair) for pair in zip(found, expected, strict=True))
    if not difference <= tolerance:  # written so that NaN is too much
        raise Disagreement(f"its logits differ from the model's by {difference:.1%}")


def _sequence(length: int, vocabulary: int) -> NDArray[np.int64]:
    """Tokens without a pattern, the same every time."""
    return np.random.default_rng(length).integers(0, min(vocabulary, _TOKENS), length)


def _logits(model: Any, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """After each token, (T, V), computed at once and without a cache."""
    ids = torch.from_numpy(tokens)[None].to(model.device)
    with torch.inference_mode():
        logits: NDArray[np.float32] = model(input_ids=ids, use_cache=False).logits[0].float().cpu().numpy()
    return logits


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Relative; what is added to all logits alike changes nothing, so it does not count."""
    own = expected - expected.mean()
    return float(np.linalg.norm(found - found.mean() - own) / np.linalg.norm(own))
