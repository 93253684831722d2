from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.demo import GREETING, Chat
from headrace.engines.events import TextDelta
from headrace.engines.generation import Message
from headrace.errors import InvalidArguments, SetupError
from headrace.openai.chat_request import ChatRequest
from headrace.openai.conversation import ChatMessage

HELLO = "Hello! How can I help you today?"


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    await chat.on_start()
    yield chat
    await chat.on_stop()


async def test_chat_answers_a_conversation_piece_by_piece(chat: Chat) -> None:
    pieces = [piece async for piece in chat.chat([Message("user", "hello")])]
    assert pieces == ["Hello", "!", " How", " can", " I", " help", " you", " to", "day", "?"]


async def test_complete_continues_a_text(chat: Chat) -> None:
    pieces = [piece async for piece in chat.complete("Once upon a time there was a", max_tokens=4)]
    assert pieces == [" tired", " otter", " who", " lived"]


async def test_clients_of_the_apis_know_it_by_two_names() -> None:
    assert [card.id for card in await Chat().models()] == ["tiny", "tinychat"]


async def test_a_request_that_names_no_temperature_is_answered_with_the_likeliest_words(chat: Chat) -> None:
    request = ChatRequest(model="tiny", messages=[ChatMessage(role="user", content="hello")])
    for _ in range(3):
        events = [event async for event in chat.chat_completions(request)]
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == HELLO


async def test_stop_strings_are_passed_on(chat: Chat) -> None:
    pieces = [piece async for piece in chat.chat([Message("user", "hello")], stop=(" can",))]
    assert pieces == ["Hello", "!", " How"]


WRONG: dict[str, Any] = {"temperature": 9.0, "top_p": 9.0, "seed": -1, "max_tokens": 0, "stop": ("",)}
POINTERS = ["/temperature", "/top_p", "/seed", "/max_tokens", "/stop/0"]


async def test_chat_passes_each_parameter_on(chat: Chat) -> None:
    with pytest.raises(InvalidArguments) as caught:
        _ = [piece async for piece in chat.chat([Message("user", "hello")], **WRONG)]
    assert [error["pointer"] for error in caught.value.errors] == POINTERS


async def test_complete_passes_each_parameter_on(chat: Chat) -> None:
    with pytest.raises(InvalidArguments) as caught:
        _ = [piece async for piece in chat.complete("Once upon a time", **WRONG)]
    assert [error["pointer"] for error in caught.value.errors] == POINTERS


async def test_a_text_too_long_for_the_model_is_refused(chat: Chat) -> None:
    with pytest.raises(InvalidArguments, match="the model reads 1024 tokens"):
        _ = [piece async for piece in chat.complete("a " * 2000)]


async def test_a_service_that_was_not_started_has_no_model() -> None:
    with pytest.raises(SetupError):
        _ = [piece async for piece in Chat().complete("hello")]


def test_the_greeting_is_honest_and_short() -> None:
    assert GREETING.count("\n") == 2
    assert "3.2 million parameters" in GREETING
    assert "wrong" in GREETING
