import numpy as np
import pytest

from headrace.engines.tiny.checkpoint import Array, InvalidCheckpoint, LlamaConfig
from headrace.engines.tiny.model import KeyValueCache, Llama

# "What is streaming?" as a conversation. The expected values come from an independent implementation in float32.
PROMPT = [1, 4, 447, 287, 529, 36, 2, 5]
LOGITS = {
    1628: 17.1718,
    60: 13.6358,
    1699: 13.3786,
    464: 11.2843,
    1375: 11.2289,
    56: 10.8176,
    0: -5.6513,
    2: -0.4925,
    100: -5.6147,
    2047: -2.6628,
}
ANSWER = [1628, 284, 919, 1906, 262, 1372, 322, 440, 1471, 336, 1480, 336, 501, 1371, 287, 1230, 17, 1543, 316, 1250]


def test_the_logits_of_a_prompt_are_those_of_the_reference(model: Llama) -> None:
    logits = model.forward(PROMPT, KeyValueCache(model.config, 8))
    assert logits.shape == (2048,)
    assert logits.dtype == np.float32
    assert {token: float(logits[token]) for token in LOGITS} == pytest.approx(LOGITS, abs=1e-3)


@pytest.mark.parametrize("first", [1, 3, 7])
def test_a_prompt_in_two_parts_gives_the_same_logits(model: Llama, first: int) -> None:
    cache = KeyValueCache(model.config, 8)
    model.forward(PROMPT[:first], cache)
    logits = model.forward(PROMPT[first:], cache)
    assert {token: float(logits[token]) for token in LOGITS} == pytest.approx(LOGITS, abs=1e-3)


def test_a_prompt_token_by_token_gives_the_same_logits(model: Llama) -> None:
    cache = KeyValueCache(model.config, 8)
    logits = [model.forward([token], cache) for token in PROMPT][-1]
    assert {token: float(logits[token]) for token in LOGITS} == pytest.approx(LOGITS, abs=1e-3)


def test_the_likeliest_tokens_are_those_of_the_reference(model: Llama) -> None:
    cache = KeyValueCache(model.config, 32)
    pending, answer = PROMPT, []
    for _ in ANSWER:
        token = int(model.forward(pending, cache).argmax())
        answer.append(token)
        pending = [token]
    assert answer == ANSWER
    assert cache.length == 27


def test_two_sequences_do_not_see_each_other(model: Llama) -> None:
    one, other = KeyValueCache(model.config, 8), KeyValueCache(model.config, 8)
    model.forward(PROMPT[:4], one)
    model.forward([1, 4, 1404, 2, 5], other)
    assert int(model.forward(PROMPT[4:], one).argmax()) == 1628


@pytest.mark.parametrize("ids", [[], [1, 4, 1404, 2, 5]])
def test_tokens_that_do_not_fit_are_refused_and_leave_the_cache_alone(model: Llama, ids: list[int]) -> None:
    cache = KeyValueCache(model.config, 4)
    with pytest.raises(ValueError, match=r"tokens do not fit behind 0 in a cache of 4"):
        model.forward(ids, cache)
    assert cache.length == 0


def test_a_cache_has_no_more_positions_than_the_model(model: Llama) -> None:
    with pytest.raises(ValueError, match="capacity 1025 is more than the model's 1024 positions"):
        KeyValueCache(model.config, 1025)


SMALL = LlamaConfig(
    vocabulary=3,
    width=4,
    inner_width=2,
    layers=1,
    heads=2,
    key_value_heads=1,
    head_width=2,
    positions=4,
    epsilon=1e-6,
    theta=10000.0,
    end_tokens=frozenset(),
)


def small_tensors() -> dict[str, Array]:
    shapes = {
        "model.embed_tokens.weight": (3, 4),
        "model.norm.weight": (4,),
        "model.layers.0.input_layernorm.weight": (4,),
        "model.layers.0.post_attention_layernorm.weight": (4,),
        "model.layers.0.self_attn.q_proj.weight": (4, 4),
        "model.layers.0.self_attn.k_proj.weight": (2, 4),
        "model.layers.0.self_attn.v_proj.weight": (2, 4),
        "model.layers.0.self_attn.o_proj.weight": (4, 4),
        "model.layers.0.mlp.gate_proj.weight": (2, 4),
        "model.layers.0.mlp.up_proj.weight": (2, 4),
        "model.layers.0.mlp.down_proj.weight": (4, 2),
    }
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def test_an_output_matrix_of_its_own_is_used(model: Llama) -> None:
    output = np.array([[1, 1, 1, 1], [2, 2, 2, 2], [0, 0, 0, 0]], np.float32)
    tied = Llama(SMALL, small_tensors())
    untied = Llama(SMALL, {**small_tensors(), "lm_head.weight": output})
    assert tied.forward([0], KeyValueCache(SMALL, 4)).tolist() == pytest.approx([4, 4, 4], abs=1e-5)
    assert untied.forward([0], KeyValueCache(SMALL, 4)).tolist() == pytest.approx([4, 8, 0], abs=1e-5)


def test_a_missing_tensor_is_named() -> None:
    tensors = small_tensors()
    del tensors["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(InvalidCheckpoint, match=r"no tensor 'model\.layers\.0\.mlp\.up_proj\.weight'"):
        Llama(SMALL, tensors)


def test_a_tensor_of_another_shape_is_refused() -> None:
    tensors = {**small_tensors(), "model.norm.weight": np.ones(5, np.float32)}
    with pytest.raises(
        InvalidCheckpoint, match=r"'model\.norm\.weight' has shape \(5,\); config\.json asks for \(4,\)"
    ):
        Llama(SMALL, tensors)
