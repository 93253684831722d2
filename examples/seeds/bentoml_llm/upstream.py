"""A server with the API of OpenAI, for the test: what it answers, and how it fails, is in the prompt.

POST /v1/chat/completions, with "stream": true; chunks as OpenAI sends them, `data: [DONE]` and the end of the body.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headrace import asgi_app, endpoint, service

app = Starlette()

Step = dict[str, Any] | str


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "tiny"}
    return {**kind, "choices": list(choices), **more}


def says(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return chunk({"index": 0, "delta": {**delta, **more}, "logprobs": None, "finish_reason": finish})


ROLE = says("", role="assistant")
STOP = says(None, "stop")
HELLO = [ROLE, says("Hello"), says(", "), says("world")]
USAGE = chunk(usage={"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6})
FILTER = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
UNTOUCHED = chunk({"index": 0, "finish_reason": None, "content_filter_offsets": {}})
BROKEN = {"error": {"message": "the secret is 4711", "type": "server_error", "param": None, "code": None}}
DONE, STALL, CUT = "[DONE]", "stall", "cut"

ANSWERS: dict[str, list[Step]] = {
    "hello": [*HELLO, STOP, DONE],
    "azure": [FILTER, *HELLO, UNTOUCHED, says(None), STOP, USAGE, DONE],
    "refusal": [ROLE, says(None, refusal="I would rather "), says(None, refusal="not."), STOP, DONE],
    "length": [*HELLO, says(None, "length"), DONE],
    "nothing": [ROLE, STOP, DONE],
    "filtered": [*HELLO, says(None, "content_filter"), DONE],
    "error first": [BROKEN],
    "error later": [*HELLO, BROKEN],
    "garbage": [*HELLO, '{"choices": [', DONE],
    "unfinished": HELLO,
    "done without a reason": [*HELLO, DONE],
    "cut later": [*HELLO, CUT],
    "stall first": [STALL],
    "stall later": [*HELLO, STALL],
    "words": [ROLE, *(says(f"{number} ") for number in range(500)), STOP, DONE],
    "flood": [ROLE, *[says("word " * 1000)] * 10_000, STOP, DONE],
}
STATUSES = {"no key": 401, "no model": 404, "busy": 429, "broken": 500, "moody": 503}
PAUSE = {"words": 0.01}  # seconds before every chunk


@service
@asgi_app(app)
class Upstream:
    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self.running = 0
        self.said = 0  # chunks
        self.body: dict[str, Any] = {}
        self.key = ""

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, Any]:
        return {"asked": self.asked, "running": self.running, "said": self.said, "body": self.body, "key": self.key}

    async def complete(self, request: Request) -> Response:
        self.body, self.key = await request.json(), request.headers.get("authorization", "")
        prompt = self.body["messages"][-1]["content"]
        self.asked[prompt] = times = self.asked.get(prompt, 0) + 1
        status = STATUSES.get(prompt, 200)
        if status != 200 and not (prompt == "moody" and times == 2):
            error = {"message": "the secret is 4711", "type": "error", "param": None, "code": None}
            headers = {"retry-after": "7", "x-should-retry": "false"} if prompt == "busy" else {"retry-after-ms": "1"}
            return JSONResponse({"error": error}, status, headers)
        return StreamingResponse(self.answer(prompt), media_type="text/event-stream")

    async def answer(self, prompt: str) -> AsyncIterator[str]:
        self.running += 1
        try:
            for step in ANSWERS.get(prompt, ANSWERS["hello"]):
                await asyncio.sleep(PAUSE.get(prompt, 0))
                if step == STALL:
                    await asyncio.sleep(3600)
                if step == CUT:
                    raise ConnectionAbortedError
                self.said += 1
                yield f"data: {step if isinstance(step, str) else json.dumps(step)}\n\n"
        finally:
            self.running -= 1

    app.router.routes.append(Route("/v1/chat/completions", complete, methods=["POST"]))
