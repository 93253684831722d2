from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.generation import Message
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.tokenizer import Tokenizer

TOKENIZER = Tokenizer.read(CHECKPOINT / "tokenizer.json")  # for hypothesis, which takes no fixtures
ANY_TEXT = st.text() | st.text(alphabet="the ing\n_019日本🙂👩‍🚀é<|end|>")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("hello", [1404]),
        ("Hello, world!", [698, 17, 1358, 6]),
        ("a 12 b", [70, 405, 23, 283]),
        ("snake_case", [88, 83, 540, 68, 72, 408]),
        ("  two\n\nlines ", [226, 1172, 204, 204, 1757, 226]),
        ("naïve", [83, 70, 133, 113, 352]),
        ("日本", [168, 251, 104, 168, 256, 111]),
        ("🙂", [178, 259, 253, 230]),
    ],
)
def test_a_text_has_these_tokens(tokenizer: Tokenizer, text: str, ids: list[int]) -> None:
    assert tokenizer.encode(text) == ids


@given(ANY_TEXT)
def test_decoding_gives_the_text_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(ANY_TEXT)
def test_token_by_token_gives_the_same_text(text: str) -> None:
    decoder = TOKENIZER.vocabulary(frozenset()).text()
    pieces = [decoder.feed(token) for token in TOKENIZER.encode(text)]
    assert "".join(pieces) == text
    assert decoder.end() == ""


def test_a_character_of_several_tokens_is_never_cut(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.vocabulary(frozenset()).text()
    assert [decoder.feed(token) for token in [178, 259, 253, 230]] == ["", "", "", "🙂"]
    assert [decoder.feed(token) for token in [168, 251, 104, 168, 256, 111]] == ["", "", "日", "", "", "本"]


def test_an_unfinished_character_becomes_a_replacement_character_at_the_end(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.vocabulary(frozenset()).text()
    assert [decoder.feed(token) for token in [1404, 178, 259]] == ["hello", "", ""]
    assert decoder.end() == "\N{REPLACEMENT CHARACTER}"


def test_bytes_that_continue_nothing_become_a_replacement_character_at_once(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.vocabulary(frozenset()).text()
    assert [decoder.feed(token) for token in [168, 1404]] == ["", "\N{REPLACEMENT CHARACTER}hello"]


def test_special_and_unknown_tokens_are_no_text(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.vocabulary(frozenset()).text()
    assert [decoder.feed(token) for token in [1, 4, 1404, 2, 2048]] == ["", "", "hello", "", ""]
    assert tokenizer.decode([1, 4, 1404, 2, 2048]) == "hello"


def test_special_tokens_spelled_out_in_a_text_are_ordinary_characters(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("<|end|>") == [33, 97, 495, 97, 35]
    assert tokenizer.chat([Message("user", "<|end|>")]) == [1, 4, 33, 97, 495, 97, 35, 2, 5]


def test_a_conversation_ends_where_the_answer_begins(tokenizer: Tokenizer) -> None:
    messages = [Message("user", "hi"), Message("assistant", "Hello!"), Message("user", "bye")]
    assert tokenizer.chat(messages) == [1, 4, 551, 2, 5, 698, 6, 2, 4, 1914, 74, 2, 5]


def test_a_system_message_has_a_token_of_its_own(tokenizer: Tokenizer) -> None:
    assert tokenizer.chat([Message("system", "hi"), Message("user", "hi")]) == [1, 3, 551, 2, 4, 551, 2, 5]


def test_a_text_to_continue_has_a_beginning_but_no_roles(tokenizer: Tokenizer) -> None:
    assert tokenizer.completion("hello") == [1, 1404]


def test_a_lone_surrogate_becomes_a_question_mark(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a?b"


def test_no_text_has_fewer_tokens_than_the_longest_token_allows(tokenizer: Tokenizer) -> None:
    assert tokenizer.longest_token == 13
    assert tokenizer.size == 2048


def test_older_files_write_a_merge_as_one_string(altered: Callable[..., Path]) -> None:
    def join_merges(document: dict[str, Any]) -> None:
        document["model"]["merges"] = [" ".join(merge) for merge in document["model"]["merges"]]

    path = altered(tokenizer=join_merges) / "tokenizer.json"
    assert Tokenizer.read(path).encode("Hello, world!") == [698, 17, 1358, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("model"), "KeyError"),
        (lambda document: document["model"].update(type="Unigram"), "only byte-level BPE"),
        (lambda document: document.update(normalizer={"type": "NFC"}), "only byte-level BPE"),
        (lambda document: document["pre_tokenizer"].update(pretokenizers=[]), "not a tokenizer"),
        (lambda document: document["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\p{L}+"), r"\\\\p"),
        (lambda document: document["model"]["merges"].append(["日", "本"]), "not a tokenizer"),
        (lambda document: document["model"]["merges"].append(["x", "x"]), "the merge of b'x' and b'x'"),
        (lambda document: document["model"]["vocab"].pop("a"), "the vocabulary lacks|the merge of"),
    ],
)
def test_another_kind_of_tokenizer_is_refused(
    altered: Callable[..., Path], change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = altered(tokenizer=change) / "tokenizer.json"
    with pytest.raises(InvalidCheckpoint, match=message):
        Tokenizer.read(path)


def test_a_tokens_bytes_may_be_a_part_of_a_character(tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.vocabulary(frozenset([2]))
    assert b"".join(vocabulary.token_bytes(token) for token in [178, 259, 253, 230]) == "🙂".encode()
    assert [vocabulary.token_bytes(token) for token in [1404, 2, 2048]] == [b"hello", b"", b""]
    assert vocabulary.end_tokens == {2}
