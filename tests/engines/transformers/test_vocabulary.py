from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkpoints import BEGIN, END, byte_level_tokenizer, sentence_piece_tokenizer
from transformers import ByT5Tokenizer

from headrace.engines.reasoning import END as END_OF_THOUGHT
from headrace.engines.reasoning import START as THOUGHT
from headrace.engines.tool_calls import hermes, llama, mistral
from headrace.engines.transformers.vocabulary import PATIENCE, SHOWN, CheckpointVocabulary

TEXTS = ["Hello world", " and more", "🙂", "一个词 👩‍🚀!", "naïve\ncafé", "a\ufffdb", "", "  two  spaces "]
BYTE_LEVEL = byte_level_tokenizer()
SENTENCE_PIECE = sentence_piece_tokenizer()
SLOW = ByT5Tokenizer()
TOKENIZERS = pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECE, SLOW], ids=["bytes", "pieces", "slow"])


def fed(vocabulary: CheckpointVocabulary, tokens: list[int]) -> list[str]:
    text = vocabulary.text()
    return [*(text.feed(token) for token in tokens), text.end()]


def encoded(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


@TOKENIZERS
@pytest.mark.parametrize("text", ["Hello world", "🙂", "一个词 👩‍🚀!", "naïve\ncafé", "a\ufffdb"])
def test_the_pieces_are_the_text(tokenizer: Any, text: str) -> None:
    vocabulary = CheckpointVocabulary(tokenizer, ())
    assert "".join(fed(vocabulary, encoded(tokenizer, text))).lstrip() == text


def test_a_character_comes_with_its_last_byte() -> None:
    tokens = encoded(SLOW, "é🙂")
    assert fed(CheckpointVocabulary(SLOW, ()), tokens) == ["", "é", "", "", "", "🙂", ""]


def test_a_character_in_bytes_comes_with_the_last_of_them() -> None:
    tokens = SENTENCE_PIECE.convert_tokens_to_ids(["<0xF0>", "<0x9F>", "<0x99>", "<0x82>", "a"])
    assert fed(CheckpointVocabulary(SENTENCE_PIECE, ()), tokens) == ["", "", "", "🙂", "a", ""]


def test_bytes_that_follow_a_character_do_not_take_it_back() -> None:
    tokens = SENTENCE_PIECE.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in "你好".encode()])
    assert fed(CheckpointVocabulary(SENTENCE_PIECE, ()), tokens) == ["", "", "你", "", "", "好", ""]


def test_a_character_that_is_cut_becomes_one_replacement_at_the_end() -> None:
    tokens = encoded(BYTE_LEVEL, "a𝄞")[:-1]
    assert fed(CheckpointVocabulary(BYTE_LEVEL, ()), tokens)[-1] == "\ufffd"


@given(tokens=st.lists(st.integers(4, len(BYTE_LEVEL) - 1), max_size=PATIENCE - 1))
def test_any_tokens_give_what_they_give_at_once(tokens: list[int]) -> None:
    vocabulary = CheckpointVocabulary(BYTE_LEVEL, ())
    whole = b"".join(vocabulary.token_bytes(token) for token in tokens).decode("utf-8", "replace")
    assert "".join(fed(vocabulary, tokens)) == whole


@given(text=st.text(max_size=40))
def test_any_text_comes_back(text: str) -> None:
    assert "".join(fed(CheckpointVocabulary(BYTE_LEVEL, ()), encoded(BYTE_LEVEL, text))) == text


def test_broken_bytes_do_not_hold_the_text_back_for_ever() -> None:
    broken = BYTE_LEVEL.convert_tokens_to_ids("Ł")  # the byte 0x9F, which begins no character
    letter = encoded(BYTE_LEVEL, "a")[0]
    text = CheckpointVocabulary(BYTE_LEVEL, ()).text()
    pieces = [text.feed(broken) for _ in range(3 * PATIENCE)]
    assert len("".join(pieces)) >= 2 * PATIENCE
    assert text.feed(letter).endswith("a")


def test_only_the_last_tokens_are_decoded_again() -> None:
    vocabulary = CheckpointVocabulary(BYTE_LEVEL, ())
    most, decode = 0, vocabulary._decode

    def measured(tokens: Any) -> str:
        nonlocal most
        most = max(most, len(tokens))
        return decode(tokens)

    vocabulary._decode = measured
    fed(vocabulary, encoded(BYTE_LEVEL, "a long text " * 100))
    assert most < 10


def test_a_space_before_the_first_word_is_kept() -> None:
    tokens = encoded(SENTENCE_PIECE, "Hello world")
    assert fed(CheckpointVocabulary(SENTENCE_PIECE, ()), tokens)[0].startswith(" ")


@TOKENIZERS
def test_special_tokens_are_no_text(tokenizer: Any) -> None:
    vocabulary = CheckpointVocabulary(tokenizer, ())
    tokens = encoded(tokenizer, "ab")
    assert "".join(fed(vocabulary, [tokens[0], tokenizer.eos_token_id, *tokens[1:]])).strip() == "ab"


def test_the_marks_of_thoughts_and_calls_are_text_though_they_are_special() -> None:
    tokens = BYTE_LEVEL.convert_tokens_to_ids(["<think>", "</think>", "[TOOL_CALLS]"])
    vocabulary = CheckpointVocabulary(BYTE_LEVEL, ())
    assert fed(vocabulary, tokens) == ["<think>", "</think>", "[TOOL_CALLS]", ""]
    assert vocabulary.token_bytes(tokens[2]) == b"[TOOL_CALLS]"


def test_all_marks_that_are_looked_for_are_shown() -> None:
    assert {THOUGHT, END_OF_THOUGHT, hermes.START, llama.START, mistral.START} <= SHOWN


def test_a_token_that_the_tokenizer_does_not_know_is_no_text() -> None:
    vocabulary = CheckpointVocabulary(BYTE_LEVEL, ())
    assert vocabulary.token_bytes(len(BYTE_LEVEL) + 5) == b""
    text = vocabulary.text()
    letter = encoded(BYTE_LEVEL, "a")[0]
    assert "".join([*(text.feed(len(BYTE_LEVEL) + 5) for _ in range(40)), text.feed(letter), text.end()]) == "a"


@pytest.mark.parametrize(
    ("tokenizer", "token", "expected"),
    [
        (BYTE_LEVEL, "a", b"a"),
        (BYTE_LEVEL, "Ġ", b" "),
        (BYTE_LEVEL, "Ł", b"\x9f"),
        (BYTE_LEVEL, "½", b"\xbd"),
        (BYTE_LEVEL, "<two words>", b"<two words>"),
        (BYTE_LEVEL, BEGIN, b""),
        (SENTENCE_PIECE, "▁Hello", b" Hello"),
        (SENTENCE_PIECE, "▁", b" "),
        (SENTENCE_PIECE, "a", b"a"),
        (SENTENCE_PIECE, "<0xF0>", b"\xf0"),
        (SENTENCE_PIECE, END, b""),
    ],
)
def test_a_token_has_bytes(tokenizer: Any, token: str, expected: bytes) -> None:
    assert CheckpointVocabulary(tokenizer, ()).token_bytes(tokenizer.convert_tokens_to_ids(token)) == expected


def test_a_token_of_a_slow_tokenizer_has_bytes() -> None:
    assert CheckpointVocabulary(SLOW, ()).token_bytes(encoded(SLOW, "a")[0]) == b"a"


@given(text=st.text(max_size=40))
def test_the_bytes_of_all_tokens_are_the_text(text: str) -> None:
    vocabulary = CheckpointVocabulary(BYTE_LEVEL, ())
    assert b"".join(vocabulary.token_bytes(token) for token in encoded(BYTE_LEVEL, text)) == text.encode()


def test_the_end_tokens_are_those_that_were_given() -> None:
    assert CheckpointVocabulary(BYTE_LEVEL, [1, 2, 2]).end_tokens == frozenset({1, 2})
