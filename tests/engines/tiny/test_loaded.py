from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.refusals import ContextTooLong
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.loaded import LoadedModel
from headrace.errors import InvalidArguments


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return LoadedModel.load(CHECKPOINT, rows=1)


@pytest.mark.parametrize(
    ("generation", "tokens"),
    [
        (Generation(prompt="hello"), [1, 1404]),
        (Generation(prompt=""), [1]),
        (Generation(prompt=[1404, 36]), [1404, 36]),
        (Generation(messages=[Message("user", "hello")]), [1, 4, 1404, 2, 5]),
    ],
)
def test_a_generation_begins_with_these_tokens(loaded: LoadedModel, generation: Generation, tokens: list[int]) -> None:
    assert loaded.prompt(generation) == tokens


def test_a_prompt_may_leave_room_for_a_single_token(loaded: LoadedModel) -> None:
    assert len(loaded.prompt(Generation(prompt=" 1" * 1022))) == 1023


@pytest.mark.parametrize(
    ("generation", "pointer", "size"),
    [
        pytest.param(Generation(prompt=" 1" * 1023), "/prompt", "1024 tokens", id="by one token"),
        pytest.param(Generation(prompt=[1] * 1024), "/prompt", "1024 tokens", id="as tokens"),
        pytest.param(Generation(prompt="a" * 20_000_000), "/prompt", "20000000 characters", id="by far"),
        pytest.param(
            Generation(messages=[Message("user", "a " * 600), Message("user", "a " * 600)]),
            "/messages",
            "1208 tokens",
            id="messages together",
        ),
    ],
)
def test_a_prompt_that_leaves_no_room_is_refused(
    loaded: LoadedModel, generation: Generation, pointer: str, size: str
) -> None:
    with pytest.raises(ContextTooLong) as caught:
        loaded.prompt(generation)
    detail = f"the prompt has {size}; the model reads 1024 tokens, its answer included"
    assert caught.value.errors == ({"pointer": pointer, "detail": detail, "type": "too_long"},)


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [
        (Generation(prompt=[]), "/prompt"),
        (Generation(prompt=[2048]), "/prompt/0"),
        (Generation(prompt="a", sampling=Sampling(logit_bias={2048: 1.0})), "/logit_bias/2048"),
    ],
)
def test_tokens_that_the_model_cannot_read_are_refused(
    loaded: LoadedModel, generation: Generation, pointer: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        loaded.prompt(generation)
    assert caught.value.errors[0]["pointer"] == pointer


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(altered: Callable[..., Path]) -> None:
    with pytest.raises(InvalidCheckpoint, match="2048 tokens, but the model knows only 2000"):
        LoadedModel.load(altered(config=lambda document: document.update(vocab_size=2000)), rows=1)
