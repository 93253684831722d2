"""`langchain-openai`."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from langchain_openai import ChatOpenAI
from told import BASE, MODEL, TOOLS, TRIES, answer, attempt, freed, messages, raised, state, told

model = ChatOpenAI(model=MODEL, base_url=BASE, api_key="none", max_retries=0, stream_usage=True)


def said(case: str) -> list[tuple[str, str]]:
    return [("user", messages(case)[0]["content"])]


def joined(case: str, chat: Any = model) -> Any:
    """All chunks of a stream, added up as LangChain does."""
    whole: Any = None
    for chunk in chat.stream(said(case)):
        whole = chunk if whole is None else whole + chunk
    return whole


def made_of(message: Any) -> dict[str, Any]:
    usage = message.usage_metadata or {}
    calls = [[call["id"], call["name"], call["args"]] for call in message.tool_calls]
    return {
        "text": message.content,
        "finish": message.response_metadata.get("finish_reason"),
        "usage": [usage.get("input_tokens"), usage.get("output_tokens")],
        "calls": calls,
    }


def broken() -> dict[str, Any]:
    text = ""
    try:
        for chunk in model.stream(said("broken")):
            text += chunk.content
    except Exception as error:
        return {**raised(error), "text": text}
    return {"text": text, "error": None}


def left() -> dict[str, Any]:
    seconds = []
    for _ in range(TRIES):
        closed = state()["closed"]
        stream = model.stream(said("left"))
        while not next(stream).content:
            pass
        left_at = time.monotonic()
        stream.close()
        seconds.append(freed(closed, left_at))
    return {"freed": sorted(seconds)}


def unauthorized() -> dict[str, Any]:
    ChatOpenAI(model=MODEL, base_url=told["locked"] + "/v1", api_key="wrong", max_retries=0).invoke(said("text"))
    return {"error": None}


async def fifty() -> dict[str, Any]:
    answers = await asyncio.gather(*(model.ainvoke([("user", f"{number} of fifty")]) for number in range(50)))
    return {"texts": [message.content for message in answers]}


def main() -> None:
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        name: lambda name=name: made_of(joined(name)) for name in ("text", "unicode", "length")
    }
    with_tools = model.bind_tools(TOOLS)
    cases |= {name: lambda name=name: made_of(joined(name, with_tools)) for name in ("call", "calls")}
    cases |= {"whole": lambda: made_of(model.invoke(said("whole"))), "broken": broken, "left": left}
    cases |= {f"status {number}": lambda number=number: made_of(joined(f"status {number}")) for number in (400, 429)}
    cases |= {"unauthorized": unauthorized, "fifty": lambda: asyncio.run(fifty())}
    answer({name: attempt(case) for name, case in cases.items()})


main()
