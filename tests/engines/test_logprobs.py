import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pools import ByteVocabulary

from headrace.engines.events import Alternative, TokenLogprob
from headrace.engines.logprobs import HeldLogprobs, token_logprob

LOGITS = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32)) + 7  # what is added to all changes nothing


class Letters(ByteVocabulary):
    """Its tokens are letters, and the last one is half a character."""

    def token_bytes(self, token: int) -> bytes:
        return [b"a", b"b", b"c", b"\xc3"][token]


def near(probability: float) -> float:
    return pytest.approx(math.log(probability), abs=1e-6)  # type: ignore[return-value]


def test_the_chosen_token_and_the_likeliest_are_told() -> None:
    assert token_logprob(LOGITS, 0, 2, Letters()) == TokenLogprob(
        "a",
        b"a",
        near(0.1),
        (Alternative("b", b"b", near(0.5)), Alternative("\N{REPLACEMENT CHARACTER}", b"\xc3", near(0.25))),
    )


@pytest.mark.parametrize(("count", "told"), [(0, ""), (1, "b"), (3, "b\ufffdc"), (4, "b\ufffdca"), (20, "b\ufffdca")])
def test_as_many_are_told_as_asked_for_and_exist(count: int, told: str) -> None:
    assert "".join(each.token for each in token_logprob(LOGITS, 1, count, Letters()).top) == told


def test_of_equally_likely_tokens_the_first_are_told() -> None:
    top = token_logprob(np.zeros(4, np.float32), 3, 3, Letters()).top
    assert [each.token for each in top] == ["a", "b", "c"]


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([3e38, -3e38, 0, -np.inf], np.float32)
    assert token_logprob(logits, 0, 0, Letters()).logprob == 0.0


# which piece of the text tells a token


def told(text: str) -> TokenLogprob:
    return TokenLogprob(text, text.encode(), -1.0)


def test_a_token_is_told_with_the_end_of_its_text() -> None:
    held = HeldLogprobs()
    for text in ("one", " two", " three"):
        held.add(told(text), text)
    assert held.release("one t") == (told("one"),)
    assert held.release("wo") == (told(" two"),)
    assert held.release(" thre") == ()
    assert held.release("e") == (told(" three"),)


def test_the_parts_of_a_character_are_told_with_it() -> None:
    held = HeldLogprobs()
    parts = [TokenLogprob("\ufffd", bytes([byte]), -1.0) for byte in "é".encode()]
    held.add(told("a"), "a")
    held.add(parts[0], "")
    assert held.release("a") == (told("a"),)
    held.add(parts[1], "é")
    assert held.release("é") == (*parts,)


def test_at_the_end_all_that_is_left_is_told() -> None:
    held = HeldLogprobs()
    mark = TokenLogprob("", b"", -1.0)
    held.add(told("ab"), "ab")
    held.add(mark, "")
    assert held.end("", stopped=False) == (told("ab"), mark)


@pytest.mark.parametrize(
    ("last", "tokens"),
    [
        pytest.param("", ["x"], id="the stop string begins a token"),
        pytest.param("a", ["x", "a"], id="it begins within a token"),
        pytest.param("ab", ["x", "ab"], id="it begins behind a token"),
    ],
)
def test_what_a_stop_string_takes_is_not_told(last: str, tokens: list[str]) -> None:
    held = HeldLogprobs()
    for text in ("x", "ab", "cd"):
        held.add(told(text), text)
    assert held.end("x" + last, stopped=True) == tuple(told(text) for text in tokens)


def test_of_a_cut_token_its_own_logprob_is_told() -> None:
    held = HeldLogprobs()
    top = (Alternative("éa", "éa".encode(), -0.5),)
    held.add(TokenLogprob("aéEND", "aéEND".encode(), -2.0, top), "aéEND")
    assert held.end("aé", stopped=True) == (TokenLogprob("aé", "aé".encode(), -2.0, top),)


@given(st.lists(st.text("aé🙂", max_size=4), max_size=8), st.lists(st.integers(0, 30), max_size=8), st.booleans())
def test_the_bytes_of_all_told_tokens_are_the_text(tokens: list[str], cuts: list[int], stopped: bool) -> None:
    held = HeldLogprobs()
    for text in tokens:
        held.add(told(text), text)
    whole = "".join(tokens)
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts)]
    pieces = [whole[begin:end] for begin, end in itertools.pairwise(borders)]
    rest = "" if stopped else whole[borders[-1] :]
    out = [each for piece in pieces for each in held.release(piece)] + [*held.end(rest, stopped=stopped)]
    assert b"".join(each.bytes for each in out).decode() == "".join(pieces) + rest
