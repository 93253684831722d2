import logging
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, TOGETHER, tiny_model

from headrace.engines.transformers.agreement import LONG, Disagreement, agreeing_pool, check
from headrace.engines.transformers.engine import LEAST_POSITIONS
from headrace.engines.transformers.memory import NoRoom
from headrace.engines.transformers.serial import SerialPool
from headrace.engines.transformers.slots import SlotPool


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_computed_together_where_that_gives_the_same(family: str) -> None:
    pool = agreeing_pool(tiny_model(family), family, 3, 64, 64)
    assert type(pool) is (SlotPool if family in TOGETHER else SerialPool)
    assert (pool.rows, pool.positions) == (3, 64)


def test_the_pool_has_its_memory() -> None:
    pool = agreeing_pool(tiny_model("llama"), "llama", 3, 64, 64)
    assert [layer.keys.shape for layer in pool._cache.layers] == [(3, 2, 64, 16)] * 2


def test_the_log_says_why_rows_are_computed_one_after_another(caplog: pytest.LogCaptureFixture) -> None:
    agreeing_pool(tiny_model("mamba"), "snake", 2, 64, 64)
    assert [record.getMessage() for record in caplog.records if record.name == "headrace.engines"] == [
        "snake computes its rows one after another (SlotPool: layers of type linear_attention)"
    ]


def test_the_log_says_that_rows_are_computed_together(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "headrace.engines"):
        agreeing_pool(tiny_model("llama"), "sheep", 2, 64, 64)
    assert [record.getMessage() for record in caplog.records if record.name == "headrace.engines"] == [
        "sheep computes its rows together"
    ]


class Wrong(SlotPool):
    """A pool with one mistake."""

    def __init__(self, mistake: str) -> None:
        super().__init__(tiny_model("llama"), 2, 64)
        self.model = self._model
        self._mistake = mistake

    def compute(self, first: int, tokens: Any, new: Any, lengths: Any) -> Any:
        match self._mistake:
            case "one position late":
                return super().compute(first, tokens, new, lengths + 1)
            case "always from the beginning":
                return super().compute(first, tokens, new, lengths * 0)
            case "the first row":
                return super().compute(0, tokens, new, lengths)
            case "padding counts":
                return super().compute(first, np.maximum(tokens, 0), np.full_like(new, tokens.shape[1]), lengths)
            case "rows change places":
                return super().compute(first, tokens, new, lengths)[::-1]
            case "no number":
                return super().compute(first, tokens, new, lengths) * np.nan
            case _:
                return super().compute(first, tokens, new, lengths)

    def move(self, source: int, target: int, length: int) -> None:
        if self._mistake == "moves too little":
            length //= 2
        if self._mistake != "does not move":
            super().move(source, target, length)


@pytest.mark.parametrize(
    "mistake",
    [
        *("one position late", "always from the beginning", "the first row", "padding counts", "rows change places"),
        *("no number", "moves too little", "does not move"),
    ],
)
def test_a_pool_with_a_mistake_is_found(mistake: str) -> None:
    pool = Wrong(mistake)
    with pytest.raises(Disagreement, match="its logits differ from the model's"):
        check(pool, pool.model)


def test_a_pool_without_a_mistake_passes() -> None:
    pool = Wrong("none")
    check(pool, pool.model)


def test_what_is_added_to_all_logits_alike_is_no_difference() -> None:
    class Shifted(SlotPool):
        def compute(self, *arguments: Any) -> Any:
            return super().compute(*arguments) + 100

    model = tiny_model("llama")
    check(Shifted(model, 2, 64), model)


def test_half_precision_may_round_otherwise() -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    check(SlotPool(model, 2, 64), model)


def test_a_model_that_no_pool_agrees_with_is_refused() -> None:
    model = tiny_model("llama")

    def throw(_module: object, _inputs: object, output: Any) -> None:
        output.logits.normal_()

    model.register_forward_hook(throw)
    with pytest.raises(Disagreement, match=r"SlotPool: its logits .*; SerialPool: its logits "):
        agreeing_pool(model, "dice", 2, 64, 64)


def test_too_little_memory_is_no_disagreement() -> None:
    model = tiny_model("llama")

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("640 kB")

    model.register_forward_hook(exhausted)
    with pytest.raises(torch.OutOfMemoryError, match="640 kB"):
        agreeing_pool(model, "whale", 2, 64, 64)


def test_the_least_pool_has_room_for_the_check() -> None:
    assert LONG <= LEAST_POSITIONS
    check(SlotPool(model := tiny_model("llama"), 2, LEAST_POSITIONS), model)


def test_a_pool_that_memory_has_no_room_for_is_refused() -> None:
    model = tiny_model("llama", max_position_embeddings=10**9)
    with pytest.raises(NoRoom, match="in each of 1000 rows, not for 1000000000"):
        agreeing_pool(model, "whale", 1000, 10**9, 10**9)


def test_a_pool_may_be_smaller_where_memory_has_no_room(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama", max_position_embeddings=10**9)
    rows = 1000
    pool = agreeing_pool(model, "whale", rows, 10**8, LEAST_POSITIONS)
    assert LEAST_POSITIONS <= pool.positions < 10**8
    assert f"whale has room for {pool.positions} positions in each of {rows} rows, not for 100000000" in caplog.text
