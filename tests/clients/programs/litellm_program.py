"""`litellm`."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices
import litellm
from told import BASE, MODEL, TOOLS, answer, attempt, messages, raised, told

TO = {"model": f"openai/{MODEL}", "api_base": BASE, "api_key": "none", "num_retries": 0, "max_retries": 0}


def streamed(case: str, **options: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"text": "", "finish": None}
    options |= {"stream": True, "stream_options": {"include_usage": True}}
    for chunk in litellm.completion(**TO, messages=messages(case), **options):
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            made["usage"] = [usage.prompt_tokens, usage.completion_tokens]
        for choice in chunk.choices:
            made["text"] += choice.delta.content or ""
            made["finish"] = choice.finish_reason or made["finish"]
            if thought := getattr(choice.delta, "reasoning_content", None):
                made["reasoning"] = made.get("reasoning", "") + thought
            for call in choice.delta.tool_calls or ():
                calls = made.setdefault("calls", [])
                if call.index == len(calls):
                    calls.append([call.id, call.function.name, ""])
                calls[call.index][2] += call.function.arguments or ""
    return made


def whole() -> dict[str, Any]:
    completion = litellm.completion(**TO, messages=messages("whole"))
    choice, usage = completion.choices[0], completion.usage
    made = {"text": choice.message.content, "finish": choice.finish_reason}
    return {**made, "usage": [usage.prompt_tokens, usage.completion_tokens]}


def broken() -> dict[str, Any]:
    text = ""
    try:
        for chunk in litellm.completion(**TO, messages=messages("broken"), stream=True):
            text += chunk.choices[0].delta.content or ""
    except Exception as error:
        return {**raised(error), "text": text}
    return {"text": text, "error": None}


def unauthorized() -> dict[str, Any]:
    litellm.completion(**{**TO, "api_base": told["locked"] + "/v1", "api_key": "wrong"}, messages=messages("text"))
    return {"error": None}


def unknown_model() -> dict[str, Any]:
    litellm.completion(**{**TO, "model": "openai/gpt-9"}, messages=messages("text"))
    return {"error": None}


async def fifty() -> dict[str, Any]:
    async def one(number: int) -> str:
        said = [{"role": "user", "content": f"{number} of fifty"}]
        answer = await litellm.acompletion(**TO, messages=said)
        return str(answer.choices[0].message.content)

    return {"texts": await asyncio.gather(*map(one, range(50)))}


def main() -> None:
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        name: lambda name=name: streamed(name) for name in ("text", "unicode", "length", "reasoning")
    }
    cases |= {name: lambda name=name: streamed(name, tools=TOOLS) for name in ("call", "calls")}
    cases |= {f"status {number}": lambda number=number: streamed(f"status {number}") for number in (400, 429, 503)}
    cases |= {"whole": whole, "broken": broken, "unauthorized": unauthorized, "unknown model": unknown_model}
    cases |= {"fifty": lambda: asyncio.run(fifty())}
    answer({name: attempt(case) for name, case in cases.items()})


main()
