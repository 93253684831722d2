from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pools import END, SILENT, TOKENS, ByteVocabulary, spell

from headrace.engines.events import EngineEvent, Finish, TextDelta, TokenLogprob, Usage
from headrace.engines.generation import Sampling
from headrace.engines.sequence import Answer

PROMPT = [1, 2, 3]
NO_LOGITS = np.zeros(TOKENS, np.float32)


def take(tokens: Sequence[int], limit: int = 100, **sampling: Any) -> list[list[EngineEvent]]:
    """The events of an answer for which the model finds these tokens the likeliest."""
    answer = Answer(PROMPT, Sampling(**sampling), limit, ByteVocabulary())
    steps = []
    for token in tokens:
        assert not answer.finished
        logits = NO_LOGITS.copy()
        logits[token] = 1.0
        chosen, events = answer.advance(logits, token)
        assert chosen == token
        steps.append(events)
    assert answer.finished == any(isinstance(event, Finish) for event in steps[-1])
    return steps


def deltas(*texts: str) -> list[list[EngineEvent]]:
    return [[TextDelta(text)] if text else [] for text in texts]


def test_an_end_token_ends_it_and_is_not_counted() -> None:
    assert take([*spell("hi"), END]) == [*deltas("h", "i"), [Finish("stop"), Usage(3, 2)]]


def test_the_limit_ends_it_with_its_last_token() -> None:
    assert take(spell("hi"), 2) == [*deltas("h"), [TextDelta("i"), Finish("length"), Usage(3, 2)]]


def test_an_end_token_right_behind_the_limit_is_never_asked_for() -> None:
    assert take(spell("h"), 1) == [[TextDelta("h"), Finish("length"), Usage(3, 1)]]


def test_it_may_be_empty() -> None:
    assert take([END]) == [[Finish("stop"), Usage(3, 0)]]


def test_a_character_comes_whole() -> None:
    assert take(spell("é!")) == deltas("", "é", "!")


def test_a_character_that_the_end_cuts_becomes_a_replacement_character() -> None:
    assert take([*spell("é")[:1], END]) == [[], [TextDelta("\ufffd"), Finish("stop"), Usage(3, 1)]]


def test_a_token_without_text_is_counted() -> None:
    assert take([SILENT, *spell("a"), END]) == [*deltas("", "a"), [Finish("stop"), Usage(3, 2)]]


@pytest.mark.parametrize(
    ("stop", "steps"),
    [
        pytest.param(
            ("l",),
            [*deltas("h", "e"), [Finish("stop", stop="l"), Usage(3, 3)]],
            id="a whole token",
        ),
        pytest.param(
            ("ll", "x"),
            [*deltas("h", "e", ""), [Finish("stop", stop="ll"), Usage(3, 4)]],
            id="two tokens",
        ),
        pytest.param(("h",), [[Finish("stop", stop="h"), Usage(3, 1)]], id="the very beginning"),
        pytest.param(
            ("lo!",),
            [*deltas("h", "e", "", "l", ""), [TextDelta("lo"), Finish("stop"), Usage(3, 5)]],
            id="a false start",
        ),
    ],
)
def test_a_stop_string_ends_it_and_is_named(stop: tuple[str, ...], steps: list[list[EngineEvent]]) -> None:
    assert take([*spell("hello"), END][: len(steps)], stop=stop) == steps


def test_text_that_was_held_back_goes_out_with_the_last_token() -> None:
    steps = take(spell("abc"), 3, stop=("bcd",))
    assert steps == [*deltas("a", ""), [TextDelta("bc"), Finish("length"), Usage(3, 3)]]


def test_a_stop_string_may_be_what_is_left_of_a_cut_character() -> None:
    ending = [Finish("stop", stop="\ufffd"), Usage(3, 2)]
    assert take([*spell("aé")[:2], END], stop=("\ufffd",)) == [*deltas("a", ""), ending]
    assert take(spell("aé")[:2], 2, stop=("\ufffd",)) == [*deltas("a"), ending]


# logprobs


def told(steps: list[list[EngineEvent]]) -> list[tuple[str, list[bytes]]]:
    """Each text delta, with the bytes of the tokens that it tells."""
    events = [event for step in steps for event in step if isinstance(event, TextDelta)]
    return [(event.text, [each.bytes for each in event.logprobs]) for event in events]


def test_each_delta_tells_the_tokens_of_its_text() -> None:
    steps = take([*spell("aé"), END], logprobs=0)
    assert told(steps) == [("a", [b"a"]), ("é", [b"\xc3", b"\xa9"])]


def test_no_logprobs_are_told_unless_asked_for() -> None:
    assert told(take([*spell("a"), END])) == [("a", [])]


def test_held_back_text_brings_its_tokens_along() -> None:
    steps = take(spell("abcx"), 4, stop=("bcd",), logprobs=0)
    assert told(steps) == [("a", [b"a"]), ("bcx", [b"b", b"c", b"x"])]


def test_the_tokens_of_a_stop_string_are_not_told() -> None:
    assert told(take(spell("abc"), stop=("bc",), logprobs=0)) == [("a", [b"a"])]


def test_tokens_without_text_at_the_end_come_in_a_delta_without_text() -> None:
    assert told(take([*spell("a"), SILENT, END], logprobs=0)) == [("a", [b"a"]), ("", [b""])]


def test_the_logprobs_are_those_before_penalties_and_temperature() -> None:
    answer = Answer(PROMPT, Sampling(temperature=0.5, seed=1, logit_bias={97: 100.0}, logprobs=1), 9, ByteVocabulary())
    logits = np.full(TOKENS, -np.inf, np.float32)
    logits[[97, 98]] = np.log([0.25, 0.75])
    token, (delta,) = answer.advance(logits, 98)
    assert token == 97
    assert isinstance(delta, TextDelta)
    (logprob,) = delta.logprobs
    assert isinstance(logprob, TokenLogprob)
    assert (logprob.token, logprob.top[0].token) == ("a", "b")
    assert np.exp([logprob.logprob, logprob.top[0].logprob]) == pytest.approx([0.25, 0.75])


# the prompt


def test_the_prompt_is_read_in_parts() -> None:
    answer = Answer([1, 2, 3, 4, 5], Sampling(), 9, ByteVocabulary())
    assert (answer.read, answer.unread) == (0, 5)
    assert answer.read_on(2).tolist() == [1, 2]
    assert (answer.read, answer.unread) == (2, 3)
    assert answer.read_on(3).tolist() == [3, 4, 5]
    assert answer.unread == 0
