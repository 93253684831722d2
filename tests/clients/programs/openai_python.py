"""The `openai` package, 2 or 3: every case with the client that blocks, most with the other one too."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import openai
from told import BASE, MODEL, TOOLS, TRIES, answer, attempt, freed, messages, raised, state, told, wait_for

client = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0)
FUNCTIONS = {"call": {"tools": TOOLS}, "calls": {"tools": TOOLS}, "function": {"functions": [told["weather"]]}}


class Gathered:
    """The deltas of one choice."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {"text": "", "finish": None}

    def add(self, chunk: Any) -> None:
        if chunk.usage is not None:
            self.made["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
        for choice in chunk.choices:
            delta = choice.delta
            self.made["text"] += delta.content or ""
            self.made["finish"] = choice.finish_reason or self.made["finish"]
            if thought := getattr(delta, "reasoning_content", None):
                self.made["reasoning"] = self.made.get("reasoning", "") + thought
            for call in delta.tool_calls or ():
                calls = self.made.setdefault("calls", [])
                if call.index == len(calls):
                    calls.append([call.id, call.function.name, ""])
                calls[call.index][2] += call.function.arguments
            if delta.function_call is not None:
                calls = self.made.setdefault("calls", [["", "", ""]])
                calls[0][1] += delta.function_call.name or ""
                calls[0][2] += delta.function_call.arguments or ""


def asked(case: str, **options: Any) -> dict[str, Any]:
    wanted = {"stream_options": {"include_usage": True}} if options.get("stream") else {}
    return {"model": MODEL, "messages": messages(case), **FUNCTIONS.get(case, {}), **wanted, **options}


def streamed(case: str) -> dict[str, Any]:
    gathered = Gathered()
    with client.chat.completions.create(**asked(case, stream=True)) as stream:
        for chunk in stream:
            gathered.add(chunk)
    return gathered.made


def whole() -> dict[str, Any]:
    completion = client.chat.completions.create(**asked("whole"))
    choice, usage = completion.choices[0], completion.usage
    made = {"text": choice.message.content, "finish": choice.finish_reason}
    return {**made, "usage": [usage.prompt_tokens, usage.completion_tokens]}


def choices() -> dict[str, Any]:
    with client.chat.completions.stream(**asked("choices", n=2)) as stream:
        stream.until_done()
        return {"texts": [choice.message.content for choice in stream.get_final_completion().choices]}


def broken(case: str) -> dict[str, Any]:
    text = ""
    try:
        for chunk in client.chat.completions.create(**asked(case, stream=True)):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    except openai.APIError as error:
        return {**raised(error), "text": text}
    return {"text": text, "error": None}


def left(case: str) -> dict[str, Any]:
    """The reader leaves after the first token."""
    seconds = []
    for _ in range(TRIES):
        closed = state()["closed"]
        with client.chat.completions.create(**asked(case, stream=True)) as stream:
            while not next(stream).choices[0].delta.content:
                pass
            left_at = time.monotonic()
        seconds.append(freed(closed, left_at))
    return {"freed": sorted(seconds)}


def refused(status: int) -> dict[str, Any]:
    client.chat.completions.create(**asked(f"status {status}", stream=True))
    return {"error": None}


def unauthorized() -> dict[str, Any]:
    client.with_options(base_url=told["locked"] + "/v1").chat.completions.create(**asked("text"))
    return {"error": None}


def authorized() -> dict[str, Any]:
    with_key = client.with_options(base_url=told["locked"] + "/v1", api_key=told["key"])
    completion = with_key.chat.completions.create(**asked("whole"))
    return {"text": completion.choices[0].message.content}


def azure() -> dict[str, Any]:
    with openai.AzureOpenAI(
        azure_endpoint=told["locked"], api_key=told["key"], api_version="2024-10-21", max_retries=0
    ) as other:
        stream = other.chat.completions.create(**asked("text", stream=True))
        gathered = Gathered()
        for chunk in stream:
            gathered.add(chunk)
        return gathered.made


def unknown_model() -> dict[str, Any]:
    client.chat.completions.create(**{**asked("text"), "model": "gpt-9"})
    return {"error": None}


def no_messages() -> dict[str, Any]:
    client.chat.completions.create(model=MODEL, messages=[])
    return {"error": None}


def stopped() -> dict[str, Any]:
    """The built-in model, and a string that ends its answer."""
    real = client.with_options(base_url=told["tiny"] + "/v1")
    options: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_tokens": 60}
    asking = {**options, "messages": [{"role": "user", "content": "What is streaming?"}]}
    text = real.chat.completions.create(**asking).choices[0].message.content or ""
    word = text.split()[3]
    choice = real.chat.completions.create(**asking, stop=[word]).choices[0]
    return {"text": choice.message.content, "expected": text[: text.index(word)], "finish": choice.finish_reason}


def responses(case: str, **options: Any) -> dict[str, Any]:
    """The events of a run in their order."""
    text = messages(case)[0]["content"]
    kinds, numbers = [], []
    stream = client.responses.create(model=MODEL, input=text, stream=True, **options)
    for event in stream:
        kinds.append(event.type)
        numbers.append(event.sequence_number)
    return {"kinds": kinds, "numbers": numbers}


def final_response() -> dict[str, Any]:
    """What the package's own accumulator, which checks the order, makes of a run."""
    with client.responses.stream(model=MODEL, input=messages("text")[0]["content"]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    return {
        "text": final.output_text,
        "finish": final.status,
        "usage": [final.usage.input_tokens, final.usage.output_tokens],
    }


def response_call() -> dict[str, Any]:
    tool = {"type": "function", **told["weather"]}
    with client.responses.stream(model=MODEL, input=messages("call")[0]["content"], tools=[tool]) as stream:
        for _ in stream:
            pass
        (item,) = stream.get_final_response().output
    return {"calls": [[item.call_id, item.name, item.arguments]]}


def broken_response() -> dict[str, Any]:
    kinds = []
    try:
        for event in client.responses.create(model=MODEL, input=messages("broken")[0]["content"], stream=True):
            kinds.append(event.type)  # noqa: PERF401 - what came before it raised counts
    except openai.APIError as error:
        return {**raised(error), "kinds": kinds}
    return {"error": None, "kinds": kinds}


async def async_left_early() -> dict[str, Any]:
    """The task that waits for the first token is cancelled."""
    seconds = []
    async with openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0) as other:
        for _ in range(TRIES):
            closed = state()["closed"]
            task = asyncio.ensure_future(other.chat.completions.create(**asked("left early", stream=True)))
            await asyncio.to_thread(wait_for, lambda now: now["running"] == 1)
            left_at = time.monotonic()
            task.cancel()
            await asyncio.wait((task,))
            seconds.append(freed(closed, left_at))
    return {"freed": sorted(seconds)}


async def async_streamed(case: str) -> dict[str, Any]:
    gathered = Gathered()
    async with openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0) as other:
        async for chunk in await other.chat.completions.create(**asked(case, stream=True)):
            gathered.add(chunk)
    return gathered.made


async def fifty() -> dict[str, Any]:
    """As many streams at once."""
    async with openai.AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0) as other:

        async def one(number: int) -> str:
            text = ""
            said = [{"role": "user", "content": f"{number} of fifty"}]
            async for chunk in await other.chat.completions.create(model=MODEL, messages=said, stream=True):
                text += chunk.choices[0].delta.content or ""
            return text

        return {"texts": await asyncio.gather(*map(one, range(50)))}


async def in_a_loop(case: Callable[[], Any]) -> dict[str, Any]:
    try:
        made: dict[str, Any] = await case()
    except Exception as error:
        return raised(error)
    return made


def main() -> None:
    texts = ("text", "unicode", "length", "reasoning", "call", "calls", "function")
    cases: dict[str, Callable[[], dict[str, Any]]] = {name: lambda name=name: streamed(name) for name in texts}
    cases |= {name: lambda name=name: broken(name) for name in ("broken", "crashed")}
    cases |= {f"status {number}": lambda number=number: refused(number) for number in (400, 429, 500, 503)}
    cases |= {"whole": whole, "choices": choices, "left": lambda: left("left"), "stopped": stopped}
    cases |= {"unauthorized": unauthorized, "authorized": authorized, "azure": azure}
    cases |= {"unknown model": unknown_model, "no messages": no_messages}
    cases |= {"response": lambda: responses("text"), "final response": final_response}
    cases |= {"response call": response_call, "broken response": broken_response}
    results = {name: attempt(case) for name, case in cases.items()}
    later = {f"async {name}": lambda name=name: async_streamed(name) for name in ("text", "unicode", "calls")}
    for name, case in {**later, "fifty": fifty, "left early": async_left_early}.items():
        results[name] = asyncio.run(in_a_loop(case))
    answer({"version": {"version": openai.__version__}, **results})


main()
