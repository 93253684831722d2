from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.engines.engine import EngineEvent, Finish, Generation, Message, Sampling, TextDelta
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.loop import TokenLoop
from headrace.errors import InvalidArguments

HELLO = [Message("user", "hello")]


@pytest.fixture(scope="module")
def loop() -> TokenLoop:
    return TokenLoop.load(CHECKPOINT)


def run(loop: TokenLoop, generation: Generation) -> list[EngineEvent]:
    return [event for step in loop.steps(generation) for event in step]


def test_a_conversation_is_answered_token_by_token(loop: TokenLoop) -> None:
    pieces = ["Hello", "!", " How", " can", " I", " help", " you", " to", "day", "?"]
    assert run(loop, Generation(messages=HELLO)) == [
        *[TextDelta(piece) for piece in pieces],
        Finish("stop", prompt_tokens=5, completion_tokens=10),
    ]


def test_a_text_is_continued_up_to_the_limit(loop: TokenLoop) -> None:
    events = run(loop, Generation(prompt="Once upon a time there was a", sampling=Sampling(max_tokens=4)))
    assert events == [
        TextDelta(" tired"),
        TextDelta(" otter"),
        TextDelta(" who"),
        TextDelta(" lived"),
        Finish("length", prompt_tokens=8, completion_tokens=4),
    ]


@pytest.mark.parametrize(
    ("stop", "pieces", "finish"),
    [
        pytest.param((" can",), ["Hello", "!", " How"], Finish("stop", 5, 4), id="a whole token"),
        pytest.param(("help you",), ["Hello", "!", " How", " can", " I", " "], Finish("stop", 5, 7), id="two tokens"),
        pytest.param(("Hello",), [], Finish("stop", 5, 1), id="the very beginning"),
        pytest.param(
            ("elp you tomorrow",),
            ["Hello", "!", " How", " can", " I", " h", "elp you today", "?"],
            Finish("stop", 5, 10),
            id="a false start",
        ),
    ],
)
def test_a_stop_string_ends_the_answer(
    loop: TokenLoop, stop: tuple[str, ...], pieces: list[str], finish: Finish
) -> None:
    events = run(loop, Generation(messages=HELLO, sampling=Sampling(stop=stop)))
    assert events == [*[TextDelta(piece) for piece in pieces], finish]


def test_text_held_back_goes_out_when_the_limit_ends_the_answer(loop: TokenLoop) -> None:
    events = run(loop, Generation(messages=HELLO, sampling=Sampling(stop=(" How are",), max_tokens=3)))
    assert events == [TextDelta("Hello"), TextDelta("!"), TextDelta(" How"), Finish("length", 5, 3)]


def test_the_context_ends_an_answer_too(loop: TokenLoop) -> None:
    events = run(loop, Generation(prompt=" 1" * 1021))
    assert events == [TextDelta("1"), TextDelta("."), Finish("length", prompt_tokens=1022, completion_tokens=2)]


@pytest.mark.parametrize(
    ("generation", "pointer", "size"),
    [
        pytest.param(Generation(prompt=" 1" * 1023), "/prompt", "1024 tokens", id="by one token"),
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
    loop: TokenLoop, generation: Generation, pointer: str, size: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        run(loop, generation)
    detail = f"the prompt has {size}; the model reads 1024 tokens, its answer included"
    assert caught.value.errors == ({"pointer": pointer, "detail": detail, "type": "too_long"},)


def test_a_value_out_of_range_is_refused(loop: TokenLoop) -> None:
    with pytest.raises(InvalidArguments, match=r"temperature is 5\.0"):
        run(loop, Generation(messages=HELLO, sampling=Sampling(temperature=5.0)))


def test_every_token_is_a_step_also_without_text(loop: TokenLoop) -> None:
    sampling = Sampling(stop=("! How can I help her",))
    assert list(loop.steps(Generation(messages=HELLO, sampling=sampling))) == [
        [TextDelta("Hello")],
        *[[]] * 5,
        [TextDelta("! How can I help you")],
        [TextDelta(" to")],
        [TextDelta("day")],
        [TextDelta("?")],
        [Finish("stop", 5, 10)],
    ]


def test_the_cache_is_held_from_the_first_token_until_closing(loop: TokenLoop) -> None:
    steps = loop.steps(Generation(messages=HELLO))
    assert loop.active == 0
    assert next(steps) == [TextDelta("Hello")]
    assert loop.active == 1
    steps.close()
    assert loop.active == 0


def test_a_character_that_the_limit_cuts_becomes_a_replacement_character(altered: Callable[..., Path]) -> None:
    def give_hello_the_first_byte_of_an_emoji(document: dict[str, Any]) -> None:
        document["model"]["vocab"].update({"Hello": 178, "ð": 698})

    loop = TokenLoop.load(altered(tokenizer=give_hello_the_first_byte_of_an_emoji))
    events = run(loop, Generation(messages=HELLO, sampling=Sampling(max_tokens=1)))
    assert events == [TextDelta("\N{REPLACEMENT CHARACTER}"), Finish("length", 5, 1)]


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(altered: Callable[..., Path]) -> None:
    with pytest.raises(InvalidCheckpoint, match="2048 tokens, but the model knows only 2000"):
        TokenLoop.load(altered(config=lambda document: document.update(vocab_size=2000)))
