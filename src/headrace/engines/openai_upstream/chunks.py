"""The chunks of a streamed completion, `/chat/completions` and `/completions` alike, to the events of an engine.

An answer is over when the upstream gave it a `finish_reason`, and for nothing else: not because the stream ends, nor
because of its end mark. What the reason is, is decided by what was seen: OpenAI itself says `stop` after a forced
function call. The `Finish` events come when all chunks were read, since some upstreams send more of an answer behind
its reason. Chunks without choices, choices without a delta and deltas without anything new are usual (Azure's content
filter, keep-alives, usage).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from headrace.engines.events import (
    Alternative,
    EngineEvent,
    Finish,
    Reason,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    Usage,
)
from headrace.engines.openai_upstream.calls import Calls, new_id
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import StreamTruncated

_REASONS: dict[str, Reason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "safety", "refusal"), "content_filter"),
}  # those behind the documented ones are of servers that pass on what their engine said


class Chunks:
    """Chunks of one stream in, events out.

    Attributes:
        deltas: how many chunks have brought anything of an answer.
        usage: the tokens, once the upstream has told them.
    """

    def __init__(self, n: int = 1, new_id: Callable[[], str] = new_id) -> None:
        self._answers = [_Answer(index, new_id) for index in range(n)]
        self.deltas = 0
        self.usage: Usage | None = None

    @property
    def complete(self) -> bool:
        """Whether every answer has its reason."""
        return all(answer.reason for answer in self._answers)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the answers ended that have ended."""
        return tuple(reason for answer in self._answers if (reason := answer.decided()) is not None)

    def read(self, chunk: Mapping[str, Any]) -> list[EngineEvent]:
        """The events of one chunk.

        Raises:
            UpstreamFailed: it has an answer that nobody asked for.
        """
        events: list[EngineEvent] = []
        held = [answer.calls.pieces for answer in self._answers]
        for choice in _mappings(chunk.get("choices")):
            index = choice.get("index", 0)
            if type(index) is not int or not 0 <= index < len(self._answers):
                raise UpstreamFailed(
                    f"the model sent an answer with index {index!r}; {len(self._answers)} were asked for"
                )
            events += self._answers[index].read(choice)
        if events or held != [answer.calls.pieces for answer in self._answers]:
            self.deltas += 1
        self.usage = _usage(chunk.get("usage")) or self.usage
        return events

    def end(self) -> list[EngineEvent]:
        """All chunks were read.

        Raises:
            StreamTruncated: an answer has no reason to be over.
            UpstreamFailed: the upstream says that it broke off.
        """
        missing = [answer.index for answer in self._answers if not answer.reason]
        if missing:
            which = f"answer {missing[0]} of {len(self._answers)}" if len(self._answers) > 1 else "the answer"
            raise StreamTruncated(f"the model's server ended the stream, and {which} has no finish_reason")
        events: list[EngineEvent] = [event for answer in self._answers for event in answer.calls.end()]
        events += [answer.finish() for answer in self._answers]
        return events if self.usage is None else [*events, self.usage]


class _Answer:
    """One answer. `reason` is the upstream's word for why it ended, the last one that it gave."""

    def __init__(self, index: int, new_id: Callable[[], str]) -> None:
        self.index = index
        self.calls = Calls(index, new_id)
        self.reason = ""
        self._stop: str | None = None

    def read(self, choice: Mapping[str, Any]) -> Iterator[EngineEvent]:
        reason, stop = choice.get("finish_reason"), choice.get("stop_reason")
        self.reason = reason.lower() if isinstance(reason, str) and reason else self.reason
        self._stop = stop if isinstance(stop, str) and stop else self._stop  # vLLM and SGLang tell the stop string
        delta = choice.get("delta")
        delta = delta if isinstance(delta, Mapping) else {}
        thought, said = _texts(delta.get("content"))
        thought = thought or _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        said = said or _text(choice.get("text"))  # of /completions
        logprobs = _logprobs(choice.get("logprobs"))
        if thought:
            yield ReasoningDelta(thought, self.index)
        if said or logprobs:
            yield TextDelta(said, self.index, logprobs)
        if refused := _text(delta.get("refusal")):
            yield RefusalDelta(refused, self.index)
        for piece in _mappings(delta.get("tool_calls")):
            yield from self.calls.add(piece)
        if isinstance(function := delta.get("function_call"), Mapping):
            yield from self.calls.add({"function": function})

    def decided(self) -> Reason | None:
        """The reason, by what was seen; None: it is none that an answer ends for."""
        reason = _REASONS.get(self.reason)
        if reason in ("stop", "tool_calls"):
            return "tool_calls" if self.calls else "stop"
        return reason

    def finish(self) -> Finish:
        if self.calls.nameless:
            raise UpstreamFailed("the model called a function without its name")
        reason = self.decided()
        if reason is None:
            raise UpstreamFailed(f"the model ended its answer with finish_reason {self.reason[:100]!r}")
        return Finish(reason, self.index, self._stop if reason == "stop" else None)


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, Mapping):
        return None
    prompt, completion = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    return Usage(
        prompt_tokens=_count(value, "prompt_tokens"),
        completion_tokens=_count(value, "completion_tokens"),
        cached_tokens=_count(prompt, "cached_tokens"),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
    )


def _count(value: Any, name: str) -> int:
    count = value.get(name) if isinstance(value, Mapping) else None
    return count if type(count) is int and count > 0 else 0


def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(value, Mapping):
        return ()
    if "tokens" in value:
        return tuple(_old_logprobs(value))
    return tuple(
        TokenLogprob(*_token(each), tuple(Alternative(*_token(top)) for top in _mappings(each.get("top_logprobs"))))
        for each in _mappings(value.get("content"))
    )


def _token(value: Mapping[str, Any]) -> tuple[str, bytes, float]:
    token = _text(value.get("token"))
    return token, _bytes(token, value.get("bytes")), _number(value.get("logprob"))


def _old_logprobs(value: Mapping[str, Any]) -> Iterator[TokenLogprob]:
    """The form of /completions: parallel lists, and a mapping of the likeliest tokens at each place."""
    tokens, chosen, tops = (_list(value.get(name)) for name in ("tokens", "token_logprobs", "top_logprobs"))
    for place, token in enumerate(map(_text, tokens)):
        top = tops[place] if place < len(tops) and isinstance(tops[place], Mapping) else {}
        alternatives = tuple(Alternative(_text(each), _text(each).encode(), _number(top[each])) for each in top)
        yield TokenLogprob(token, token.encode(), _number(chosen[place] if place < len(chosen) else None), alternatives)


def _bytes(token: str, value: Any) -> bytes:
    try:
        return bytes(value) if isinstance(value, list) else token.encode()
    except (TypeError, ValueError):
        return token.encode()


def _texts(content: Any) -> tuple[str, str]:
    """What was thought and what was said: Mistral sends parts of both kinds in one list."""
    if not isinstance(content, list):
        return "", _text(content)
    thought, said = [], []
    for part in _mappings(content):
        if part.get("type") == "thinking":
            thinking = part.get("thinking")
            thought.append(_text(thinking) or "".join(_text(each.get("text")) for each in _mappings(thinking)))
        else:
            said.append(_text(part.get("text")))
    return "".join(thought), "".join(said)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]
