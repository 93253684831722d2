"""The `anthropic` package."""

import time
from collections.abc import Callable
from typing import Any

import anthropic
from told import MODEL, TRIES, URL, answer, attempt, freed, messages, raised, state, told

client = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0)
TOOL = {
    "name": told["weather"]["name"],
    "description": told["weather"]["description"],
    "input_schema": told["weather"]["parameters"],
}


def asked(case: str, **options: Any) -> dict[str, Any]:
    tools = {"tools": [TOOL]} if case.startswith("call") else {}
    return {"model": MODEL, "max_tokens": 100, "messages": messages(case), **tools, **options}


def made_of(message: Any) -> dict[str, Any]:
    blocks = message.content
    made = {
        "text": "".join(block.text for block in blocks if block.type == "text"),
        "calls": [[block.id, block.name, block.input] for block in blocks if block.type == "tool_use"],
        "reasoning": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "finish": message.stop_reason,
    }
    return {**made, "usage": [message.usage.input_tokens, message.usage.output_tokens]}


def streamed(case: str) -> dict[str, Any]:
    with client.messages.stream(**asked(case)) as stream:
        return made_of(stream.get_final_message())


def events() -> dict[str, Any]:
    return {"kinds": [event.type for event in client.messages.create(**asked("text"), stream=True)]}


def broken() -> dict[str, Any]:
    text = ""
    try:
        with client.messages.stream(**asked("broken")) as stream:
            for piece in stream.text_stream:
                text += piece
    except anthropic.APIError as error:
        return {**raised(error), "text": text}
    return {"text": text, "error": None}


def left() -> dict[str, Any]:
    seconds = []
    for _ in range(TRIES):
        closed = state()["closed"]
        with client.messages.stream(**asked("left")) as stream:
            next(iter(stream.text_stream))
            left_at = time.monotonic()
        seconds.append(freed(closed, left_at))
    return {"freed": sorted(seconds)}


def unauthorized() -> dict[str, Any]:
    client.with_options(base_url=told["locked"]).messages.create(**asked("text"))
    return {"error": None}


def authorized() -> dict[str, Any]:
    with_key = client.with_options(base_url=told["locked"], api_key=told["key"])
    return made_of(with_key.messages.create(**asked("text")))


def unknown_model() -> dict[str, Any]:
    client.messages.create(**{**asked("text"), "model": "gpt-9"})
    return {"error": None}


def main() -> None:
    names = ("text", "unicode", "length", "reasoning", "call", "calls")
    cases: dict[str, Callable[[], dict[str, Any]]] = {name: lambda name=name: streamed(name) for name in names}
    cases |= {"whole": lambda: made_of(client.messages.create(**asked("whole"))), "events": events}
    cases |= {f"status {number}": lambda number=number: streamed(f"status {number}") for number in (400, 429, 500)}
    cases |= {"broken": broken, "left": left, "unknown model": unknown_model}
    cases |= {"unauthorized": unauthorized, "authorized": authorized}
    answer({name: attempt(case) for name, case in cases.items()})


main()
