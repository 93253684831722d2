from types import SimpleNamespace
from typing import Any

import pytest
import torch

from headrace.engines.transformers.attention import UnknownAttention, masks, windows

LEAST = torch.finfo(torch.float32).min


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"full_attention": None}),
        ({"sliding_window": None}, {"full_attention": None}),
        ({"sliding_window": 8}, {"sliding_attention": 8}),
        ({"layer_types": ["full_attention", "full_attention"], "sliding_window": 8}, {"full_attention": None}),
        (
            {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8},
            {"sliding_attention": 8, "full_attention": None},
        ),
        ({"layer_types": None, "sliding_window": 99}, {"sliding_attention": 99}),
        ({"attention_layers": ["global", "global"]}, {"full_attention": None}),
    ],
)
def test_a_configuration_tells_what_each_type_of_layer_sees(
    config: dict[str, Any], expected: dict[str, int | None]
) -> None:
    assert windows(SimpleNamespace(**config)) == expected


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"layer_types": ["linear_attention", "full_attention"]}, "layers of type linear_attention"),
        ({"layer_types": ["chunked_attention"]}, "layers of type chunked_attention"),
        ({"attention_chunk_size": 8}, "attention_chunk_size"),
        ({"attention_layers": ["global", "local"]}, "local attention_layers"),
        ({"layer_types": ["sliding_attention"]}, "sliding_attention without a sliding_window"),
    ],
)
def test_a_rule_that_is_not_known_is_refused(config: dict[str, Any], why: str) -> None:
    with pytest.raises(UnknownAttention, match=why):
        windows(SimpleNamespace(**config))


def shown(mask: torch.Tensor) -> list[str]:
    """A row of text for each token: x where it sees a key."""
    return ["".join("x" if value == 0 else "." for value in row) for row in mask.reshape(-1, mask.shape[-1]).tolist()]


def test_a_token_sees_its_own_position_and_those_before() -> None:
    mask = masks(torch.tensor([[0, 1, 2]]), 4, {"full_attention": None}, torch.float32)
    assert shown(mask) == ["x...", "xx..", "xxx."]


def test_rows_see_from_positions_of_their_own() -> None:
    mask = masks(torch.tensor([[3], [0]]), 4, {"full_attention": None}, torch.float32)
    assert mask.shape == (2, 1, 1, 4)
    assert shown(mask) == ["xxxx", "x..."]


def test_a_window_ends_so_many_keys_back() -> None:
    mask = masks(torch.tensor([[2, 3, 4]]), 5, {"sliding_attention": 2}, torch.float32)
    assert shown(mask) == [".xx..", "..xx.", "...xx"]


def test_what_is_hidden_gets_the_least_number_of_the_type() -> None:
    mask = masks(torch.tensor([[0]]), 2, {"full_attention": None}, torch.bfloat16)
    assert mask.flatten().tolist() == [0, torch.finfo(torch.bfloat16).min]


def test_layers_that_differ_have_a_mask_for_each_type() -> None:
    mask = masks(torch.tensor([[3]]), 4, {"full_attention": None, "sliding_attention": 1}, torch.float32)
    assert {name: shown(each) for name, each in mask.items()} == {
        "full_attention": ["xxxx"],
        "sliding_attention": ["...x"],
    }


def test_types_that_see_the_same_share_one_mask() -> None:
    mask = masks(torch.tensor([[3]]), 4, {"full_attention": None, "sliding_attention": None}, torch.float32)
    assert shown(mask) == ["xxxx"]
