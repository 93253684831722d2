import numpy as np
import pytest
import torch
from tiny_models import CONTEXT, FAMILIES, TOGETHER, VOCABULARY, logits_after, tiny_model

from headrace.engines.transformers.attention import UnknownAttention
from headrace.engines.transformers.slots import SlotPool

CLOSE = 1e-3


def sequence(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, VOCABULARY, length)


def compute(pool: SlotPool, first: int, *news: np.ndarray, lengths: list[int]) -> np.ndarray:
    tokens = np.full((len(news), max(map(len, news))), 10**6)  # to the right of a row's own stands anything
    for row, new in enumerate(news):
        tokens[row, : len(new)] = new
    return pool.compute(first, tokens, np.array([len(new) for new in news]), np.array(lengths))


@pytest.mark.parametrize("family", TOGETHER)
def test_rows_of_any_lengths_share_steps(family: str) -> None:
    model = tiny_model(family)
    pool = SlotPool(model, rows=3, positions=64)
    short, middle, long = sequence(9, 1), sequence(20, 2), sequence(40, 3)
    of_short, of_middle, of_long = (logits_after(model, each) for each in (short, middle, long))

    prompts = compute(pool, 0, short[:4], middle[:17], long[:36], lengths=[0, 0, 0])
    assert np.allclose(prompts, [of_short[3], of_middle[16], of_long[35]], atol=CLOSE)
    for step in range(3):
        news = [each[at + step : at + step + 1] for each, at in ((short, 4), (middle, 17), (long, 36))]
        made = compute(pool, 0, *news, lengths=[4 + step, 17 + step, 36 + step])
        assert np.allclose(made, [of_short[4 + step], of_middle[17 + step], of_long[36 + step]], atol=CLOSE)


@pytest.mark.parametrize("family", TOGETHER)
def test_a_prompt_may_be_read_in_parts(family: str) -> None:
    model = tiny_model(family)
    pool = SlotPool(model, rows=2, positions=64)
    tokens = sequence(40)
    expected = logits_after(model, tokens)
    for begin, end in ((0, 7), (7, 8), (8, 30), (30, 40)):
        made = compute(pool, 1, tokens[begin:end], lengths=[begin])
        assert np.allclose(made[0], expected[end - 1], atol=CLOSE)


def test_rows_are_where_they_are_asked_for() -> None:
    model = tiny_model("llama")
    pool = SlotPool(model, rows=4, positions=64)
    others, own = sequence(6, 1), sequence(6, 2)
    compute(pool, 0, others, others, lengths=[0, 0])
    compute(pool, 3, others, lengths=[0])
    compute(pool, 2, own[:5], lengths=[0])
    assert np.allclose(compute(pool, 2, own[5:], lengths=[5])[0], logits_after(model, own)[5], atol=CLOSE)


def test_a_row_goes_on_where_it_was_moved_to() -> None:
    model = tiny_model("gemma3_text")
    pool = SlotPool(model, rows=3, positions=64)
    tokens = sequence(30)
    compute(pool, 2, tokens[:29], lengths=[0])
    pool.move(2, 0, 29)
    compute(pool, 2, sequence(31, 7), lengths=[0])  # the old row is somebody else's
    assert np.allclose(compute(pool, 0, tokens[29:], lengths=[29])[0], logits_after(model, tokens)[29], atol=CLOSE)


def test_what_a_longer_sequence_left_in_a_row_is_not_seen() -> None:
    model = tiny_model("llama")
    pool = SlotPool(model, rows=1, positions=64)
    tokens = sequence(5)
    compute(pool, 0, sequence(64, 9), lengths=[0])
    assert np.allclose(compute(pool, 0, tokens, lengths=[0])[0], logits_after(model, tokens)[4], atol=CLOSE)


def test_the_last_position_of_a_row_can_be_filled_beside_a_longer_prompt() -> None:
    model = tiny_model("gpt2")
    pool = SlotPool(model, rows=2, positions=CONTEXT)
    full, other = sequence(CONTEXT, 1), sequence(10, 2)
    compute(pool, 0, full[:-1], lengths=[0])
    made = compute(pool, 0, full[-1:], other, lengths=[CONTEXT - 1, 0])
    assert np.allclose(made, [logits_after(model, full)[-1], logits_after(model, other)[-1]], atol=CLOSE)


def test_any_schedule_gives_what_each_sequence_gives_alone() -> None:
    model = tiny_model("mistral")
    random = np.random.default_rng(5)
    pool = SlotPool(model, rows=5, positions=64)
    sequences = [sequence(int(length), number) for number, length in enumerate(random.integers(2, 64, 12))]
    expected = [logits_after(model, each) for each in sequences]
    waiting, rows = list(range(12)), list[list[int]]()  # of each row: the sequence, and how much of it is read
    while waiting or rows:
        while waiting and len(rows) < 5 and random.random() < 0.5:
            rows.append([waiting.pop(), 0])
        if rows:
            first = int(random.integers(len(rows)))
            last = int(random.integers(first, len(rows))) + 1
            parts = [int(random.integers(1, 9)) for _ in range(first, last)]
            news = [sequences[of][read : read + part] for (of, read), part in zip(rows[first:last], parts, strict=True)]
            made = compute(pool, first, *news, lengths=[read for _, read in rows[first:last]])
            for row, new, logits in zip(rows[first:last], news, made, strict=True):
                row[1] += len(new)
                assert np.allclose(logits, expected[row[0]][row[1] - 1], atol=CLOSE)
        for row in reversed(range(len(rows))):
            of, read = rows[row]
            if read == len(sequences[of]) or random.random() < 0.05:  # some leave early
                end = rows.pop()
                if row < len(rows):
                    pool.move(len(rows), row, end[1])
                    rows[row] = end


def test_a_position_takes_the_keys_and_values_of_all_layers() -> None:
    pool = SlotPool(tiny_model("llama"), rows=3, positions=64)
    compute(pool, 0, sequence(5), lengths=[0])
    assert pool.position_bytes == 2 * 2 * (2 * 16) * 4  # layers, keys and values, two heads of 16, four bytes


def test_half_precision_stays_what_it_is_and_gives_float32() -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    made = compute(SlotPool(model, rows=1, positions=64), 0, sequence(5), lengths=[0])
    assert (made.dtype, made.shape) == (np.float32, (1, VOCABULARY))
    expected = logits_after(model, sequence(5))[4]
    assert np.corrcoef(made[0], expected)[0, 1] > 0.99


@pytest.mark.parametrize("family", ["mamba", "gpt_neo"])
def test_a_model_with_another_attention_is_refused(family: str) -> None:
    with pytest.raises(UnknownAttention):
        SlotPool(tiny_model(family), rows=2, positions=64)


def test_every_family_is_in_one_of_the_two_pools() -> None:
    assert {*TOGETHER, "bloom", "mamba", "rwkv", "gpt_neo"} == set(FAMILIES)
