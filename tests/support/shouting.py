"""A small API of another kind, "shout", and a service that speaks it: what the tests of dialects talk to.

    POST /shout {"say": "it rains", "whole": false}  ->  + IT / + RAINS / .    or, whole:  {"said": "IT RAINS"}
    GET /voices/{voice}                              ->  {"said": "ALTO"}
    DELETE /voices/{voice}/last                      ->  + ALTO / .
    any failure                                      ->  {"oops": message}     or, in the stream:  ! message

Words with a meaning: `pause` says nothing, `wait` waits for ever, `wrong` is of the wrong type, `half` cannot be
written, `busy` fails, `crash` raises, `last` makes the end fail.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.errors import InvalidArguments, MalformedBody, NotFound, StreamError
from headrace.services.decorators import endpoint, service
from headrace.wire.dialect import Answer, Refusal
from headrace.wire.events import End, Failure

VOICES = ("alto", "bass", "soprano")


class Busy(StreamError):
    """Somebody else is shouting."""

    code = "busy"
    status = 429
    retryable = True

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "7"}


@dataclass(frozen=True, slots=True)
class Word:
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is said."""


class Streamed:
    """One line per word."""

    heartbeat = b"~\n"
    in_band = True

    def __init__(self) -> None:
        self._last = ""

    def header(self, value: Any) -> bytes:
        raise AssertionError("no shout has a header")

    footer = header

    def item(self, value: Word | Pause) -> bytes:
        if isinstance(value, Pause):
            return b""
        self._last = value.text
        return b"+ %b\n" % value.text.upper().encode()

    def end(self, end: End) -> bytes:
        if self._last == "last":
            raise Busy("not the last one")
        return b".\n"

    def failure(self, failure: Failure) -> bytes:
        return b"! %b\n" % failure.message.encode()


class Whole(Streamed):
    """One document, written at the end."""

    heartbeat = b""
    in_band = False

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []

    def item(self, value: Word | Pause) -> bytes:
        if isinstance(value, Word):
            self._words.append(value.text.upper())
        return b""

    def end(self, end: End) -> bytes:
        return json.dumps({"said": " ".join(self._words)}, ensure_ascii=False).encode()


class Shouting:
    """The route that shouts."""

    schema: Mapping[str, Any] = {
        "type": "object",
        "required": ["say"],
        "properties": {"say": {"type": "string"}, "whole": {"$ref": "#/$defs/Whole"}},
        "$defs": {"Whole": {"type": "boolean", "default": False}},
    }

    def read(self, body: bytes, path: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            members = json.loads(body)
        except ValueError as error:
            raise MalformedBody(f"not JSON: {error}") from None
        if not isinstance(members.get("say"), str):
            entry = {"pointer": "/say", "detail": "say must be a text", "type": "type"}
            raise InvalidArguments("say must be a text", [entry])
        return {"say": members["say"], "whole": members.get("whole", False)}

    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        if arguments.get("whole"):
            return Answer(Whole(), "application/json", gathers=True)
        return Answer(Streamed(), "text/shout; charset=utf-8", gathers=False)

    def refusal(self, error: StreamError, request_id: str) -> Refusal:
        if error.message == "untellable":
            raise RuntimeError("this dialect has no word for it")
        status = 400 if error.status == 422 else error.status
        return Refusal(status, json.dumps({"oops": error.message}).encode(), headers={"X-Shout": request_id})


class OneVoice(Shouting):
    """The routes of one voice."""

    schema: Mapping[str, Any] = {}

    def read(self, body: bytes, path: Mapping[str, str]) -> Mapping[str, Any]:
        return {"voice": path["voice"]}


class AskedVoice(OneVoice):
    """Which answers once, whole."""

    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        return Answer(Whole(), "application/json", gathers=True)


@service
class Shouts:
    """Shouts."""

    def __init__(self) -> None:
        self.running = 0
        self.entered = asyncio.Event()
        self.calls: list[str] = []

    @property
    def healthy(self) -> bool:
        return "unwell" not in self.calls

    @endpoint(path="/shout", dialect=Shouting())
    async def shout(self, say: str, whole: bool = False) -> AsyncIterator[Word | Pause]:
        """Shouts word by word."""
        self.calls.append(say)
        self.running += 1
        try:
            for word in say.split():
                match word:
                    case "pause":
                        yield Pause()
                    case "wait":
                        self.entered.set()
                        await asyncio.Event().wait()
                    case "wrong":
                        yield 5  # type: ignore[misc]
                    case "half":
                        yield Word("\ud800")
                    case "busy" | "untellable":
                        raise Busy("somebody shouts" if word == "busy" else word)
                    case "crash":
                        raise ZeroDivisionError("the secret is 4711")
                    case _:
                        yield Word(word)
        finally:
            self.running -= 1

    @endpoint(path="/voices/{voice}", methods=("GET",), dialect=AskedVoice())
    async def voice(self, voice: str) -> Word:
        """Says which voice it is."""
        if voice not in VOICES:
            raise NotFound(f"there is no voice {voice}")
        return Word(voice)

    @endpoint(path="/voices/{voice}/last", methods=("DELETE",), dialect=OneVoice())
    async def silence(self, voice: str) -> AsyncIterator[Word]:
        """Lets a voice shout for the last time."""
        yield Word(voice)

    @endpoint(path="/books/{book:path}/pages/{page}", methods=("GET", "POST"))
    async def read(self, book: str, page: int, loud: bool = False) -> AsyncIterator[str]:
        """Reads as headrace does."""
        for part in (book, str(page), str(loud)):
            yield f"{part}|"

    @endpoint
    async def whisper(self, say: str) -> AsyncIterator[str]:
        """Speaks as headrace does."""
        for word in say.split():
            yield word
