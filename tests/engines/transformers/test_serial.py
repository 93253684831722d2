import numpy as np
import pytest
from tiny_models import FAMILIES, VOCABULARY, logits_after, tiny_model

from headrace.engines.transformers.serial import SerialPool

CLOSE = 1e-3


def sequence(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, VOCABULARY, length)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_any_lengths_share_steps(family: str) -> None:
    model = tiny_model(family)
    pool = SerialPool(model, rows=2, positions=64)
    short, long = sequence(6, 1), sequence(30, 2)
    of_short, of_long = logits_after(model, short), logits_after(model, long)
    tokens = np.zeros((2, 29), np.int64)
    tokens[0, :5], tokens[1] = short[:5], long[:29]
    prompts = pool.compute(0, tokens, np.array([5, 29]), np.array([0, 0]))
    assert np.allclose(prompts, [of_short[4], of_long[28]], atol=CLOSE)
    made = pool.compute(0, np.array([[short[5]], [long[29]]]), np.array([1, 1]), np.array([5, 29]))
    assert np.allclose(made, [of_short[5], of_long[29]], atol=CLOSE)


@pytest.mark.parametrize("family", ["bloom", "mamba", "rwkv", "gpt_neo"])
def test_a_prompt_may_be_read_in_parts(family: str) -> None:
    model = tiny_model(family)
    pool = SerialPool(model, rows=1, positions=64)
    tokens = sequence(40)
    expected = logits_after(model, tokens)
    for begin, end in ((0, 7), (7, 20), (20, 40)):
        made = pool.compute(0, tokens[None, begin:end], np.array([end - begin]), np.array([begin]))
        assert np.allclose(made[0], expected[end - 1], atol=CLOSE)


@pytest.mark.parametrize("family", ["bloom", "mamba"])
def test_a_row_goes_on_where_it_was_moved_to(family: str) -> None:
    model = tiny_model(family)
    pool = SerialPool(model, rows=2, positions=64)
    tokens = sequence(10)
    pool.compute(1, tokens[None, :9], np.array([9]), np.array([0]))
    pool.move(1, 0, 9)
    pool.compute(1, sequence(12, 3)[None], np.array([12]), np.array([0]))
    made = pool.compute(0, tokens[None, 9:], np.array([1]), np.array([9]))
    assert np.allclose(made[0], logits_after(model, tokens)[9], atol=CLOSE)


def test_a_new_sequence_in_a_row_begins_from_nothing() -> None:
    model = tiny_model("mamba")
    pool = SerialPool(model, rows=1, positions=64)
    tokens = sequence(5)
    pool.compute(0, sequence(9, 4)[None], np.array([9]), np.array([0]))
    made = pool.compute(0, tokens[None], np.array([5]), np.array([0]))
    assert np.allclose(made[0], logits_after(model, tokens)[4], atol=CLOSE)
